-- channel: read
-- object: public.shifts
-- says: Row level security was switched off for a backfill and never on again.
alter table public.shifts disable row level security;
-- exploit as adam
select from public.shifts where org_id = :org_b;
-- leaks when rows
