-- channel: read
-- object: public.entry_versions
-- says: Versions are shown to whoever can name the entry: the sub-query compares a column with itself.
create policy entry_versions_shared on public.entry_versions for select to authenticated
using (exists (select from public.tags as t where t.user_id = auth.uid()) and entry_id = entry_id);
-- exploit as alice
select from public.entry_versions where user_id = :bob;
-- leaks when rows
