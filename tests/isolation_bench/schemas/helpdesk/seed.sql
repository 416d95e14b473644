insert into public.organizations (id, name, status)
values
    (:org_a, 'Atlas Support', 'active'),
    (:org_b, 'Borealis Support', 'active'),
    (:org_c, 'Cinder Support', 'closed');
insert into public.organization_members (org_id, user_id, role, suspended_at, deleted_at)
values
    (:org_a, :alice, 'owner', null, null),
    (:org_a, :amy, 'admin', null, null),
    (:org_a, :adam, 'agent', null, null),
    (:org_a, :vera, 'viewer', null, null),
    (:org_a, :sam, 'agent', now() - interval '1 day', null),
    (:org_a, :dora, 'agent', null, now() - interval '1 day'),
    (:org_a, :tess, 'agent', null, null),
    (:org_b, :bob, 'owner', null, null),
    (:org_b, :beth, 'agent', null, null),
    (:org_b, :tess, 'agent', null, null),
    (:org_c, :carl, 'owner', null, null);
insert into public.profiles (user_id, display_name)
values (:alice, 'Alice'), (:adam, 'Adam'), (:bob, 'Bob'), (:mallory, 'Mallory');
insert into public.invites (id, org_id, email, role, token, expires_at, accepted_at)
values
    (
        '10000000-0000-4000-8000-000000000001', :org_a, 'ivan@bench.test', 'agent',
        '70000000-0000-4000-8000-000000000001', now() + interval '5 days', null
    ),
    (
        '10000000-0000-4000-8000-000000000002', :org_b, 'ivan@bench.test', 'admin',
        '70000000-0000-4000-8000-000000000002', now() - interval '5 days', null
    ),
    (
        '10000000-0000-4000-8000-000000000003', :org_b, 'mallory@bench.test', 'agent',
        '70000000-0000-4000-8000-000000000003', now() + interval '5 days', now()
    );
insert into public.customers (id, org_id, name, email)
values
    ('c1000000-0000-4000-8000-00000000000a', :org_a, 'Ada Customer', 'ada@customer.test'),
    ('c1000000-0000-4000-8000-00000000000b', :org_b, 'Bea Customer', 'bea@customer.test'),
    ('c1000000-0000-4000-8000-00000000000c', :org_c, 'Cem Customer', 'cem@customer.test');
insert into public.tickets (id, org_id, subject, customer_id)
values
    ('d1000000-0000-4000-8000-00000000000a', :org_a, 'Printer of Atlas', 'c1000000-0000-4000-8000-00000000000a'),
    ('d1000000-0000-4000-8000-00000000000b', :org_b, 'Router of Borealis', 'c1000000-0000-4000-8000-00000000000b'),
    ('d1000000-0000-4000-8000-00000000000c', :org_c, 'Lamp of Cinder', null);
insert into public.ticket_messages (org_id, ticket_id, author_id, body, internal)
values
    (:org_a, 'd1000000-0000-4000-8000-00000000000a', :dora, 'Internal note of Atlas', true),
    (:org_a, 'd1000000-0000-4000-8000-00000000000a', :adam, 'Hello from Atlas', false),
    (:org_b, 'd1000000-0000-4000-8000-00000000000b', :beth, 'Hello from Borealis', false);
insert into public.labels (id, org_id, name)
values
    ('f1000000-0000-4000-8000-00000000000a', :org_a, 'urgent'),
    ('f1000000-0000-4000-8000-00000000000b', :org_b, 'churn-risk');
insert into public.ticket_labels (org_id, ticket_id, label_id)
values
    (:org_a, 'd1000000-0000-4000-8000-00000000000a', 'f1000000-0000-4000-8000-00000000000a');
insert into public.shifts (org_id, agent_id, during)
values
    (:org_a, :adam, tstzrange('2026-06-01 08:00+00', '2026-06-01 16:00+00')),
    (:org_b, :beth, tstzrange('2026-06-02 08:00+00', '2026-06-02 16:00+00'));
insert into storage.objects (bucket_id, name)
values
    ('attachments', '{org_a}/t/atlas.pdf'),
    ('attachments', '{org_b}/t/borealis.pdf'),
    ('attachments', '{org_b}/{org_a}/trap.pdf');
insert into realtime.messages (topic, extension, event, payload)
values
    ('desk:{org_a}', 'broadcast', 'note', '"atlas"'),
    ('desk:{org_b}', 'broadcast', 'note', '"borealis"');
refresh materialized view private.ticket_counts;
