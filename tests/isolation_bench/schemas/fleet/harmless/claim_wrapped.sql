-- channel: helper rewrite
-- object: internal.tenant_id
-- says: The helper in plpgsql, reading the claims setting itself.
create or replace function internal.tenant_id()
returns uuid
language plpgsql stable
set search_path = ''
as $$
declare
    claims jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
begin
    return nullif(claims #>> '{app_metadata,tenant_id}', '')::uuid;
end
$$;
-- request as adam
select from public.sites where tenant_id = :org_a;
-- works when rows
