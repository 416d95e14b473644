-- `[api] auto_expose_new_tables = false`: new objects in public grant nothing to the API roles.
alter default privileges for role postgres in schema public
revoke all on tables from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
revoke all on functions from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
revoke all on sequences from anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
revoke all on tables from anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
revoke all on functions from anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
revoke all on sequences from anon, authenticated, service_role;
