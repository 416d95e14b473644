-- channel: sequence
-- object: public.ticket_messages_id_seq
-- says: The sequence behind the message ids tells how much everybody writes, and can be reset.
grant select, update on sequence public.ticket_messages_id_seq to authenticated;
-- exploit as mallory
select setval('public.ticket_messages_id_seq', 1, false);
-- leaks when rows
