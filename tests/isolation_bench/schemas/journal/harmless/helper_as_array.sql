-- channel: policy rewrite
-- object: public.entries
-- says: The set-returning helper is asked once and compared as an array.
drop policy entries_shared on public.entries;
create policy entries_shared on public.entries for select to authenticated
using (journal_id = any (array(select private.shared_journals(false))));
-- request as adam
select from public.entries where user_id = :bob;
-- works when rows
