-- channel: policy rewrite
-- object: public.sites
-- says: `for all` is split into its three commands.
drop policy sites_write on public.sites;
create policy sites_add on public.sites for insert to authenticated
with check (
    tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager'
);
create policy sites_change on public.sites for update to authenticated
using (tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager')
with check (
    tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager'
);
create policy sites_remove on public.sites for delete to authenticated
using (tenant_id = (select internal.tenant_id()) and (select internal.app_role()) = 'manager');
-- request as amy
insert into public.sites (tenant_id, name) values (:org_a, 'Aabenraa') returning id;
-- works when rows
