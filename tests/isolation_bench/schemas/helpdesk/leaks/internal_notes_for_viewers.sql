-- channel: read
-- object: public.ticket_messages
-- says: Viewers of the organization can read the notes agents keep among themselves.
drop policy ticket_messages_select on public.ticket_messages;
create policy ticket_messages_select on public.ticket_messages for select to authenticated
using (private.is_member(org_id) or (internal and private.has_role(org_id, '{owner,admin,agent}')));
-- exploit as vera
select from public.ticket_messages where internal;
-- leaks when rows
