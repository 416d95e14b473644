-- channel: lifecycle
-- object: public.entries
-- says: The entries' policy asks the shares table itself and forgets the revocation.
drop policy entries_shared on public.entries;
create function private.was_shared(p_journal uuid)
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select exists (
        select
        from public.shares as s
        where s.journal_id = p_journal
            and s.shared_with = auth.uid()
            and (s.expires_at is null or s.expires_at > now())
    )
$$;
grant execute on function private.was_shared(uuid) to authenticated;
create policy entries_shared on public.entries for select to authenticated
using (private.was_shared(journal_id));
-- exploit as dora
select from public.entries where user_id = :bob;
-- leaks when rows
