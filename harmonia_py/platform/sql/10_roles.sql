-- Roles as the platform has them. Attributes are set again on every run, so that an environment
-- built by an older version ends up the same.
do $$
declare
    v_role record;
begin
    for v_role in
        select * from (values
            ('anon', 'nologin inherit'),
            ('authenticated', 'nologin inherit'),
            ('service_role', 'nologin inherit bypassrls'),
            ('authenticator', 'login noinherit'),
            ('postgres', 'login inherit createdb createrole replication bypassrls'),
            ('supabase_auth_admin', 'login noinherit createrole'),
            ('supabase_storage_admin', 'login noinherit createrole'),
            ('supabase_functions_admin', 'login noinherit createrole'),
            ('supabase_realtime_admin', 'nologin noinherit'),
            ('supabase_read_only_user', 'login inherit bypassrls'),
            ('supabase_replication_admin', 'login inherit replication'),
            ('supabase_etl_admin', 'login inherit replication'),
            ('dashboard_user', 'nologin inherit createdb createrole replication'),
            ('pgbouncer', 'login inherit'),
            ('pgtle_admin', 'nologin inherit'),
            ('pgsodium_keyiduser', 'nologin inherit'),
            ('pgsodium_keyholder', 'nologin inherit'),
            ('pgsodium_keymaker', 'nologin inherit')
        ) as wanted (name, attributes)
    loop
        if not exists (select from pg_catalog.pg_roles where rolname = v_role.name) then
            execute pg_catalog.format('create role %I', v_role.name);
        end if;
        if v_role.name = 'postgres' and (
            select r.oid = 10 from pg_catalog.pg_roles as r where r.rolname = 'postgres'
        ) then
            -- The role that made the cluster must stay a superuser.
            continue;
        end if;
        execute pg_catalog.format(
            'alter role %I nosuperuser nocreatedb nocreaterole noreplication nobypassrls',
            v_role.name
        );
        execute pg_catalog.format('alter role %I %s', v_role.name, v_role.attributes);
    end loop;
    if not exists (select from pg_catalog.pg_roles where rolname = 'supabase_admin') then
        create role supabase_admin login superuser createdb createrole replication bypassrls;
    end if;
end;
$$;

grant anon, authenticated, service_role to authenticator;
grant authenticator to supabase_storage_admin;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;
grant pg_monitor, pg_read_all_data to supabase_read_only_user;
grant pg_monitor, pg_read_all_data to supabase_etl_admin;
grant pgsodium_keyiduser to pgsodium_keyholder;
grant pgsodium_keyholder, pgsodium_keyiduser to pgsodium_keymaker;
grant pgtle_admin to postgres;

-- The platform lets postgres put policies and triggers on the tables of these roles through its
-- own extension; a membership is the nearest thing that any PostgreSQL has.
grant supabase_auth_admin, supabase_storage_admin, supabase_realtime_admin to postgres;

do $$
begin
    if current_setting('server_version_num')::integer >= 160000 then
        -- Since 16, CREATEROLE alone no longer lets a role hand out roles it did not create.
        grant anon, authenticated, service_role, authenticator to postgres with admin option;
        grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres with admin option;
        grant pg_create_subscription to postgres;
        -- ... nor alter them, which the platform allows for the API roles' settings.
    else
        grant anon, authenticated, service_role to postgres;
    end if;
end;
$$;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role postgres set search_path = "$user", public, extensions;
alter role supabase_admin set search_path = "$user", public, auth, extensions;
alter role supabase_auth_admin set search_path = auth;
alter role supabase_auth_admin set idle_in_transaction_session_timeout = 60000;
alter role supabase_storage_admin set search_path = storage;

-- What the platform lets postgres set without being a superuser.
grant set on parameter session_replication_role to postgres;
grant set on parameter log_min_messages to postgres;
grant set on parameter log_min_duration_statement to postgres;
grant set on parameter log_statement to postgres;
grant set on parameter track_functions to postgres;
grant set on parameter track_io_timing to postgres;
grant execute on function pg_catalog.pg_reload_conf() to postgres;
