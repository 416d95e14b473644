-- channel: lifecycle
-- object: private.shared_journals
-- says: The end of a share is not looked at.
create or replace function private.shared_journals(p_write boolean default false)
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select s.journal_id
    from public.shares as s
    join public.journals as j on j.id = s.journal_id and j.deleted_at is null
    where s.shared_with = auth.uid()
        and s.revoked_at is null
        and (s.can_write or not p_write)
$$;
-- exploit as xena
select from public.entries where user_id = :bob;
-- leaks when rows
