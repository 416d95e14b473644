-- Which journals somebody else opened to me. A definer, because the two tables' policies would
-- otherwise ask each other for ever.
create function private.shared_journals(p_write boolean default false)
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select s.journal_id
    from public.shares as s
    join public.journals as j on j.id = s.journal_id and j.deleted_at is null
    where s.shared_with = auth.uid()
        and s.revoked_at is null
        and (s.expires_at is null or s.expires_at > now())
        and (s.can_write or not p_write)
$$;

create function private.is_staff()
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select coalesce((select p.is_staff from public.profiles as p where p.id = auth.uid()), false)
$$;

grant execute on function private.shared_journals(boolean), private.is_staff() to authenticated;

create function private.new_user()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    insert into public.profiles (id, display_name)
    values (
        new.id,
        coalesce(nullif(left(new.raw_user_meta_data ->> 'display_name', 60), ''), 'Somebody')
    )
    on conflict (id) do nothing;
    return new;
end
$$;
create trigger journal_new_user after insert on auth.users
for each row execute function private.new_user();

create function private.keep_version()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    insert into public.entry_versions (user_id, entry_id, body, changed_by)
    values (new.user_id, new.id, new.body, auth.uid());
    return null;
end
$$;
create trigger keep_version after insert or update of body on public.entries
for each row execute function private.keep_version();

alter table public.profiles enable row level security;
alter table public.moods enable row level security;
alter table public.journals enable row level security;
alter table public.entries enable row level security;
alter table public.tags enable row level security;
alter table public.entry_tags enable row level security;
alter table public.entry_versions enable row level security;
alter table public.shares enable row level security;
alter table public.reminders enable row level security;
alter table public.access_tokens enable row level security;
alter table public.feedback enable row level security;

grant select on public.profiles to authenticated;
grant update (display_name, contact_email, birthday) on public.profiles to authenticated;
grant select on public.moods to anon, authenticated;
grant select, insert (id, title), update (title, deleted_at), delete
on public.journals to authenticated;
grant select, insert (id, user_id, journal_id, written_on, body, mood_id),
update (journal_id, written_on, body, mood_id), delete
on public.entries to authenticated;
grant select, insert, update (name), delete on public.tags to authenticated;
grant select, insert, delete on public.entry_tags to authenticated;
grant select on public.entry_versions to authenticated;
grant select, insert (journal_id, shared_with, can_write, expires_at),
update (can_write, expires_at, revoked_at), delete
on public.shares to authenticated;
grant select, insert, update, delete on public.reminders to authenticated;
grant select (id, user_id, label), delete on public.access_tokens to authenticated;
grant insert (label, token_digest) on public.access_tokens to authenticated;
grant select, insert (stars, message) on public.feedback to authenticated;

create policy profiles_self_select on public.profiles for select to authenticated
using (id = auth.uid());
create policy profiles_self_update on public.profiles for update to authenticated
using (id = auth.uid());

create policy moods_select on public.moods for select to anon, authenticated using (true);

create policy journals_owner on public.journals for all to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));
create policy journals_shared on public.journals for select to authenticated
using (id in (select private.shared_journals()));

create policy entries_owner on public.entries for all to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));
create policy entries_shared on public.entries for select to authenticated
using (journal_id in (select private.shared_journals()));
create policy entries_shared_write on public.entries for update to authenticated
using (journal_id in (select private.shared_journals(true)))
with check (journal_id in (select private.shared_journals(true)));

create policy tags_owner on public.tags for all to authenticated
using (user_id = (select auth.uid()));

create policy entry_tags_owner on public.entry_tags for all to authenticated
using (user_id = (select auth.uid()));

create policy entry_versions_owner on public.entry_versions for select to authenticated
using (user_id = (select auth.uid()));

create policy shares_owner on public.shares for all to authenticated
using (owner_id = (select auth.uid()))
with check (owner_id = (select auth.uid()));
create policy shares_receiver on public.shares for select to authenticated
using (
    shared_with = (select auth.uid())
    and revoked_at is null
    and (expires_at is null or expires_at > now())
);
-- Trial accounts (anonymous sign-ins) keep a journal, but share nothing.
create policy shares_registered on public.shares as restrictive for insert to authenticated
with check ((select (auth.jwt() ->> 'is_anonymous')::boolean) is false);

create policy reminders_owner on public.reminders for all to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));

create policy access_tokens_select on public.access_tokens for select to authenticated
using (user_id = (select auth.uid()));
create policy access_tokens_insert on public.access_tokens for insert to authenticated
with check (user_id = (select auth.uid()));
create policy access_tokens_delete on public.access_tokens for delete to authenticated
using (user_id = (select auth.uid()));

create policy feedback_insert on public.feedback for insert to authenticated
with check (user_id = (select auth.uid()));
create policy feedback_select on public.feedback for select to authenticated
using (user_id = (select auth.uid()) or (select private.is_staff()));
