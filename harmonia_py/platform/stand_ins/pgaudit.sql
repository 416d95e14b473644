-- Audits nothing.
create function @extschema@.pgaudit_ddl_command_end()
returns event_trigger language plpgsql as $$ begin end $$;
create function @extschema@.pgaudit_sql_drop()
returns event_trigger language plpgsql as $$ begin end $$;
