-- The few assertions that migrations and seeds use; for a test suite install the real one.
create function @extschema@.plan(integer)
returns text language sql as $$ select '1..' || $1 $$;
create function @extschema@.no_plan()
returns setof boolean language sql as $$ select true where false $$;
create function @extschema@.ok(boolean, text default '')
returns text language sql
as $$ select case when $1 then 'ok' else 'not ok' end || ' - ' || $2 $$;
create function @extschema@.pass(text default '')
returns text language sql as $$ select @extschema@.ok(true, $1) $$;
create function @extschema@.fail(text default '')
returns text language sql as $$ select @extschema@.ok(false, $1) $$;
create function @extschema@.is(anyelement, anyelement, text default '')
returns text language sql as $$ select @extschema@.ok($1 is not distinct from $2, $3) $$;
create function @extschema@.isnt(anyelement, anyelement, text default '')
returns text language sql as $$ select @extschema@.ok($1 is distinct from $2, $3) $$;
create function @extschema@.diag(text)
returns text language sql as $$ select '# ' || $1 $$;
create function @extschema@.finish(boolean default null)
returns setof text language sql as $$ select null::text where false $$;
