-- channel: partition
-- object: public.activities_2026h1
-- says: One partition is readable by itself, and the parent's policies do not cover it.
alter table public.activities_2026h1 disable row level security;
grant select on public.activities_2026h1 to authenticated;
-- exploit as adam
select from public.activities_2026h1 where account_id = :org_b;
-- leaks when rows
