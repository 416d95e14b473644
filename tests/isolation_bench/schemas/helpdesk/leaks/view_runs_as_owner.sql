-- channel: view
-- object: public.open_tickets
-- says: The view was replaced without security_invoker and now runs as its owner.
alter view public.open_tickets reset (security_invoker);
-- exploit as adam
select from public.open_tickets where org_id = :org_b;
-- leaks when rows
