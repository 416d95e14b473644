-- channel: policy rewrite
-- object: public.readings
-- says: The helper is written out, as an equality of texts.
drop policy readings_read on public.readings;
create policy readings_read on public.readings for select to authenticated
using (tenant_id::text = (select auth.jwt() #>> '{app_metadata,tenant_id}'));
-- request as vera
select from public.readings where tenant_id = :org_a;
-- works when rows
