update public.profiles
set contact_email = display_name || '@home.test', birthday = '1990-01-01';
insert into public.journals (id, user_id, title, deleted_at)
values
    ('a5000000-0000-4000-8000-000000000001', :alice, 'Journal of Alice', null),
    ('b5000000-0000-4000-8000-000000000001', :bob, 'Journal of Bob', null),
    ('b5000000-0000-4000-8000-000000000002', :bob, 'Thrown away by Bob', now()),
    ('b5000000-0000-4000-8000-000000000003', :bob, 'Read-only for Adam', null);
insert into public.entries (id, user_id, journal_id, body)
values
    ('ae000000-0000-4000-8000-000000000001', :alice, 'a5000000-0000-4000-8000-000000000001', 'Dear diary, says Alice'),
    ('be000000-0000-4000-8000-000000000001', :bob, 'b5000000-0000-4000-8000-000000000001', 'Dear diary, says Bob'),
    ('be000000-0000-4000-8000-000000000002', :bob, 'b5000000-0000-4000-8000-000000000002', 'Should be gone'),
    ('be000000-0000-4000-8000-000000000003', :bob, 'b5000000-0000-4000-8000-000000000003', 'For Adam to read');
insert into public.tags (id, user_id, name)
values
    ('a6000000-0000-4000-8000-000000000001', :alice, 'sun'),
    ('a6000000-0000-4000-8000-000000000002', :alice, 'rain'),
    ('b6000000-0000-4000-8000-000000000001', :bob, 'secret plan');
insert into public.entry_tags (user_id, entry_id, tag_id)
values
    (:alice, 'ae000000-0000-4000-8000-000000000001', 'a6000000-0000-4000-8000-000000000001'),
    (:bob, 'be000000-0000-4000-8000-000000000001', 'b6000000-0000-4000-8000-000000000001');
insert into public.shares (journal_id, owner_id, shared_with, can_write, expires_at, revoked_at)
values
    ('b5000000-0000-4000-8000-000000000003', :bob, :adam, false, null, null),
    ('b5000000-0000-4000-8000-000000000003', :bob, :amy, true, now() + interval '1 day', null),
    ('b5000000-0000-4000-8000-000000000003', :bob, :xena, true, now() - interval '1 day', null),
    ('b5000000-0000-4000-8000-000000000003', :bob, :dora, true, null, now() - interval '1 day'),
    ('b5000000-0000-4000-8000-000000000002', :bob, :adam, true, null, null);
insert into public.reminders (user_id, at, text)
values (:alice, '2026-05-01', 'Water the plants'), (:bob, '2026-05-02', 'Call the doctor');
insert into public.access_tokens (user_id, label, token_digest)
values (:alice, 'phone', repeat('a', 64)), (:bob, 'laptop', repeat('b', 64));
insert into public.feedback (user_id, stars, message)
values (:alice, 5, 'Nice, says Alice'), (:bob, 1, 'Bad, says Bob');
insert into storage.objects (bucket_id, name)
values ('photos', '{alice}/cat.jpg'), ('photos', '{bob}/dog.jpg');
insert into realtime.messages (topic, extension, event, payload)
values ('user:{alice}', 'broadcast', 'n', '1'), ('user:{bob}', 'broadcast', 'n', '2');
