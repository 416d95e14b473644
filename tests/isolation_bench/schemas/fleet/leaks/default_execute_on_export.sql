-- channel: default privileges
-- object: public.export_sites
-- says: Execute is granted by default again, and an internal export became callable by anybody.
alter default privileges in schema public grant execute on functions to anon, authenticated;
create function public.export_sites()
returns setof public.sites
language sql stable security definer
set search_path = ''
as $$
    select s.* from public.sites as s
$$;
-- exploit as mallory
select from public.export_sites() where tenant_id = :org_b;
-- leaks when rows
