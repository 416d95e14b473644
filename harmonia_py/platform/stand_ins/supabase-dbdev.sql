-- Installs nothing.
create schema dbdev;
create function dbdev.install(package_name text)
returns boolean language sql as $$ select true $$;
grant usage on schema dbdev to postgres;
