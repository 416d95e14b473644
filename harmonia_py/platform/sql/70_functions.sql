-- What the platform adds around extensions: placeholders, webhooks, the API server's reload.
create or replace function graphql_public.graphql(
    "operationName" text default null,
    query text default null,
    variables jsonb default null,
    extensions jsonb default null
)
returns jsonb
language sql
as $$
    select pg_catalog.jsonb_build_object('errors', pg_catalog.jsonb_build_array(
        pg_catalog.jsonb_build_object('message', 'pg_graphql extension is not enabled.')
    ))
$$;
grant execute on function graphql_public.graphql(text, text, jsonb, jsonb)
to postgres, anon, authenticated, service_role;

create or replace function pgbouncer.get_auth(p_usename text)
returns table (username text, password text)
language sql
security definer
set search_path = ''
as $$
    select r.rolname::text, case when r.rolvaliduntil < pg_catalog.now() then null else r.rolpassword end
    from pg_catalog.pg_authid as r
    where r.rolname = p_usename and r.rolcanlogin
$$;
revoke execute on function pgbouncer.get_auth(text) from public;
grant execute on function pgbouncer.get_auth(text) to pgbouncer;

create table if not exists supabase_functions.migrations (
    version text not null primary key,
    inserted_at timestamptz not null default now()
);
create table if not exists supabase_functions.hooks (
    id bigserial not null primary key,
    hook_table_id integer not null,
    hook_name text not null,
    created_at timestamptz not null default now(),
    request_id bigint
);
comment on table supabase_functions.hooks is
'Supabase Functions Hooks: Audit trail for triggered hooks.';
create or replace function supabase_functions.http_request()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    -- Nothing is sent from here; the trail shows that it would have been.
    insert into supabase_functions.hooks (hook_table_id, hook_name) values (tg_relid, tg_name);
    return new;
end;
$$;
alter table supabase_functions.migrations owner to supabase_functions_admin;
alter table supabase_functions.hooks owner to supabase_functions_admin;
alter function supabase_functions.http_request() owner to supabase_functions_admin;
revoke all on all tables in schema supabase_functions from anon, authenticated;
grant execute on function supabase_functions.http_request()
to postgres, anon, authenticated, service_role;

create or replace function extensions.pgrst_ddl_watch()
returns event_trigger
language plpgsql
set search_path = ''
as $$
begin
    if exists (
        select from pg_catalog.pg_event_trigger_ddl_commands() as c
        where c.schema_name is distinct from 'pg_temp'
            and c.command_tag in (
                'CREATE SCHEMA', 'ALTER SCHEMA', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO',
                'ALTER TABLE', 'CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE', 'CREATE VIEW',
                'ALTER VIEW', 'CREATE MATERIALIZED VIEW', 'ALTER MATERIALIZED VIEW',
                'CREATE FUNCTION', 'ALTER FUNCTION', 'CREATE TRIGGER', 'CREATE TYPE', 'ALTER TYPE',
                'CREATE RULE', 'COMMENT'
            )
    ) then
        notify pgrst, 'reload schema';
    end if;
end;
$$;

create or replace function extensions.pgrst_drop_watch()
returns event_trigger
language plpgsql
set search_path = ''
as $$
begin
    if exists (
        select from pg_catalog.pg_event_trigger_dropped_objects() as d
        where not d.is_temporary
            and d.object_type in (
                'schema', 'table', 'foreign table', 'view', 'materialized view', 'function',
                'trigger', 'type', 'rule'
            )
    ) then
        notify pgrst, 'reload schema';
    end if;
end;
$$;

do $$
begin
    if not exists (
        select from pg_catalog.pg_event_trigger where evtname = 'pgrst_ddl_watch'
    ) then
        create event trigger pgrst_ddl_watch on ddl_command_end
        execute function extensions.pgrst_ddl_watch();
    end if;
    if not exists (
        select from pg_catalog.pg_event_trigger where evtname = 'pgrst_drop_watch'
    ) then
        create event trigger pgrst_drop_watch on sql_drop
        execute function extensions.pgrst_drop_watch();
    end if;
end;
$$;
grant usage on language sql, plpgsql to postgres with grant option;
