-- channel: policy rewrite
-- object: public.reminders
-- says: `for all` becomes four policies; the update check is left to its default.
drop policy reminders_owner on public.reminders;
create policy reminders_select on public.reminders for select to authenticated
using (auth.uid() = user_id);
create policy reminders_insert on public.reminders for insert to authenticated
with check (auth.uid() = user_id);
create policy reminders_update on public.reminders for update to authenticated
using (auth.uid() = user_id);
create policy reminders_delete on public.reminders for delete to authenticated
using (auth.uid() = user_id);
-- request as alice
update public.reminders set text = 'Water' where user_id = auth.uid() returning id;
-- works when rows
