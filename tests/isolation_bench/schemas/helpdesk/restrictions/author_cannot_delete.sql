-- channel: write
-- object: public.ticket_messages
-- says: The delete policy compares the author with a claim that does not exist.
drop policy ticket_messages_delete on public.ticket_messages;
create policy ticket_messages_delete on public.ticket_messages for delete to authenticated
using (private.is_member(org_id) and author_id::text = auth.jwt() ->> 'user_id');
-- request as adam
delete from public.ticket_messages where body = 'Hello from Atlas' returning id;
-- works when rows
