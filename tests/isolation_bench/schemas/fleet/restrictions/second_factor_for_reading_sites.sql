-- channel: claims
-- object: public.sites
-- says: The second-factor policy was put on sites as well: nobody without one sees a site.
create policy sites_second_factor on public.sites as restrictive for all to authenticated
using ((select auth.jwt()) ->> 'aal' = 'aal3')
with check ((select auth.jwt()) ->> 'aal' = 'aal3');
-- request as amy
select from public.sites where tenant_id = :org_a;
-- works when rows
