-- channel: partition
-- object: public.readings
-- says: The partitions got the parent's grants but have no policies and no row security.
alter table public.readings_0 disable row level security;
alter table public.readings_1 disable row level security;
grant select, insert on public.readings_0, public.readings_1 to authenticated;
-- exploit as adam
select from (
    select tenant_id from public.readings_0 union all select tenant_id from public.readings_1
) as r
where r.tenant_id = :org_b;
-- leaks when rows
