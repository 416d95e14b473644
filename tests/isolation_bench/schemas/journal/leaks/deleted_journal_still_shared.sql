-- channel: lifecycle
-- object: private.shared_journals
-- says: A journal its owner deleted stays readable for those it was shared with.
create or replace function private.shared_journals(p_write boolean default false)
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select s.journal_id
    from public.shares as s
    where s.shared_with = auth.uid()
        and s.revoked_at is null
        and (s.expires_at is null or s.expires_at > now())
        and (s.can_write or not p_write)
$$;
-- exploit as adam
select from public.entries where body = 'Should be gone';
-- leaks when rows
