-- Accepts extensions written in SQL and forgets them.
create type pgtle.password_types as enum (
    'PASSWORD_TYPE_PLAINTEXT', 'PASSWORD_TYPE_MD5', 'PASSWORD_TYPE_SCRAM_SHA_256'
);
create type pgtle.pg_tle_features as enum ('passcheck', 'clientauth');
create table pgtle.harmonia_installed (name text not null primary key, version text not null);
create function pgtle.install_extension(
    name text, version text, description text, ext text, requires text[] default null,
    schema text default null
)
returns boolean language sql
as $$
    insert into pgtle.harmonia_installed values (name, version)
    on conflict do nothing returning true
$$;
create function pgtle.install_extension_version_sql(name text, version text, ext text)
returns boolean language sql as $$ select true $$;
create function pgtle.install_update_path(name text, fromvers text, tovers text, ext text)
returns boolean language sql as $$ select true $$;
create function pgtle.set_default_version(name text, version text)
returns boolean language sql as $$ select true $$;
create function pgtle.uninstall_extension(extname text)
returns boolean language sql
as $$ delete from pgtle.harmonia_installed where name = extname returning true $$;
create function pgtle.uninstall_extension_if_exists(extname text)
returns boolean language sql
as $$ delete from pgtle.harmonia_installed where name = extname returning true $$;
create function pgtle.available_extensions(
    out name name, out default_version text, out comment text
)
returns setof record language sql
as $$ select i.name::name, i.version, 'stand-in' from pgtle.harmonia_installed as i $$;
grant usage on schema pgtle to pgtle_admin, postgres;
grant all on all tables in schema pgtle to pgtle_admin, postgres;
