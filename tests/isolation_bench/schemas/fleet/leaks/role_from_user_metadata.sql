-- channel: claims
-- object: internal.app_role
-- says: The role is read from user_metadata, so an operator makes himself manager.
create or replace function internal.app_role()
returns text
language sql stable
set search_path = ''
as $$
    select coalesce(
        auth.jwt() -> 'user_metadata' ->> 'app_role', auth.jwt() -> 'app_metadata' ->> 'app_role'
    )
$$;
-- exploit as vera with {"user_metadata": {"app_role": "manager"}}
insert into public.sites (tenant_id, name) values (:org_a, 'Made by a viewer');
-- leaks when exists (select from public.sites where name = 'Made by a viewer')
