-- Schemas, who may use them, and what new objects in them grant by default.
do $$
begin
    execute pg_catalog.format('alter database %I owner to postgres', current_database());
    execute pg_catalog.format(
        'grant all on database %I to postgres, dashboard_user, supabase_auth_admin',
        current_database()
    );
end;
$$;

create schema if not exists extensions authorization postgres;
create schema if not exists auth authorization supabase_admin;
create schema if not exists storage authorization supabase_admin;
create schema if not exists realtime authorization supabase_admin;
create schema if not exists graphql authorization supabase_admin;
create schema if not exists graphql_public authorization supabase_admin;
create schema if not exists vault authorization supabase_admin;
create schema if not exists pgbouncer authorization pgbouncer;
create schema if not exists supabase_functions authorization supabase_admin;
create schema if not exists supabase_migrations authorization postgres;

grant usage on schema public to anon, authenticated, service_role;
grant usage, create on schema public to postgres;
grant usage on schema extensions to anon, authenticated, service_role;
grant all on schema extensions to dashboard_user;
grant usage on schema auth to anon, authenticated, service_role;
grant all on schema auth to supabase_auth_admin, dashboard_user, postgres;
grant usage on schema storage to anon, authenticated, service_role;
grant usage, create on schema storage to postgres with grant option;
grant all on schema storage to supabase_storage_admin, dashboard_user;
grant usage on schema realtime to anon, authenticated, service_role, dashboard_user;
grant usage on schema realtime to postgres with grant option;
grant all on schema realtime to supabase_realtime_admin;
grant usage on schema graphql to postgres, anon, authenticated, service_role;
grant usage on schema graphql_public to postgres, anon, authenticated, service_role;
grant usage on schema vault to postgres with grant option;
grant usage on schema vault to service_role;
grant usage on schema supabase_functions to postgres, anon, authenticated, service_role;
grant all on schema supabase_functions to supabase_functions_admin;

do $$
declare
    v_creator text;
    v_schema record;
begin
    foreach v_creator in array array['postgres', 'supabase_admin'] loop
        execute pg_catalog.format(
            'alter default privileges for role %I in schema public '
            'grant all on tables to postgres, anon, authenticated, service_role', v_creator);
        execute pg_catalog.format(
            'alter default privileges for role %I in schema public '
            'grant all on functions to postgres, anon, authenticated, service_role', v_creator);
        execute pg_catalog.format(
            'alter default privileges for role %I in schema public '
            'grant all on sequences to postgres, anon, authenticated, service_role', v_creator);
    end loop;
    for v_schema in
        select * from (values
            ('supabase_auth_admin', 'auth', 'postgres, dashboard_user'),
            ('postgres', 'storage', 'postgres, anon, authenticated, service_role'),
            ('supabase_admin', 'realtime', 'postgres, dashboard_user'),
            ('supabase_admin', 'graphql', 'postgres, anon, authenticated, service_role'),
            ('supabase_admin', 'graphql_public', 'postgres, anon, authenticated, service_role'),
            ('supabase_admin', 'extensions', 'postgres'),
            ('supabase_admin', 'supabase_functions', 'postgres, anon, authenticated, service_role')
        ) as wanted (creator, name, grantees)
    loop
        execute pg_catalog.format(
            'alter default privileges for role %I in schema %I grant all on tables to %s',
            v_schema.creator, v_schema.name, v_schema.grantees);
        execute pg_catalog.format(
            'alter default privileges for role %I in schema %I grant all on functions to %s',
            v_schema.creator, v_schema.name, v_schema.grantees);
        execute pg_catalog.format(
            'alter default privileges for role %I in schema %I grant all on sequences to %s',
            v_schema.creator, v_schema.name, v_schema.grantees);
    end loop;
end;
$$;
