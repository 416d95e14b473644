-- channel: claims
-- object: internal.tenant_id
-- says: New accounts without an app_metadata tenant fall back to user_metadata.
create or replace function internal.tenant_id()
returns uuid
language sql stable
set search_path = ''
as $$
    select coalesce(
        auth.jwt() -> 'app_metadata' ->> 'tenant_id', auth.jwt() -> 'user_metadata' ->> 'tenant_id'
    )::uuid
$$;
-- exploit as mallory with {"user_metadata": {"tenant_id": "{org_b}"}}
select from public.sites where tenant_id = :org_b;
-- leaks when rows
