-- channel: claims
-- object: public.sites
-- says: `coalesce(claim, tenant_id) = tenant_id` is true for everybody without a tenant.
drop policy sites_read on public.sites;
create policy sites_read on public.sites for select to authenticated
using (coalesce((select internal.tenant_id()), tenant_id) = tenant_id);
-- exploit as mallory
select from public.sites where tenant_id = :org_b;
-- leaks when rows
