-- channel: write
-- object: public.entries
-- says: The write policy calls the helper without asking for write access.
drop policy entries_shared_write on public.entries;
create policy entries_shared_write on public.entries for update to authenticated
using (journal_id in (select private.shared_journals()))
with check (journal_id in (select private.shared_journals()));
-- exploit as adam
update public.entries set body = 'Rewritten by a reader' where user_id = :bob;
-- leaks when exists (select from public.entries where body = 'Rewritten by a reader')
