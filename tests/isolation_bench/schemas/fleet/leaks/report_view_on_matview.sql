-- channel: materialized view
-- object: public.daily_means
-- says: An invoker view over the materialized view, with the grant the invoker then needs.
create view public.daily_means
with (security_invoker = true) as
select d.tenant_id, d.metric, d.day, d.mean from internal.daily_readings as d;
grant select on public.daily_means, internal.daily_readings to authenticated;
-- exploit as adam
select from public.daily_means where tenant_id = :org_b;
-- leaks when rows
