-- channel: unrelated
-- object: public.tickets
-- says: An index, a comment and a storage parameter.
create index on public.tickets (org_id, status, opened_at desc);
comment on table public.tickets is 'What customers asked for.';
alter table public.tickets set (fillfactor = 90);
-- request as vera
select from public.tickets where org_id = :org_a;
-- works when rows
