-- channel: table privilege
-- object: public.ticket_messages
-- says: Truncate is not subject to row level security and was granted with everything else.
grant all on public.ticket_messages to authenticated;
-- exploit as mallory
truncate public.ticket_messages;
-- leaks when not exists (select from public.ticket_messages)
