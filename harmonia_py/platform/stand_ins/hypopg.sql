-- Hypothetical indexes are accepted and change no plan.
create function @extschema@.hypopg_create_index(
    in sql_order text, out indexrelid oid, out indexname text
)
returns setof record language sql as $$ select 0::oid, '<stand-in>'::text $$;
create function @extschema@.hypopg_drop_index(indexid oid)
returns boolean language sql as $$ select true $$;
create function @extschema@.hypopg_reset() returns void language sql as $$ select $$;
create view @extschema@.hypopg_list_indexes as
select 0::oid as indexrelid, ''::text as index_name, ''::text as schema_name,
    ''::text as table_name, ''::text as am_name
where false;
