set local lock_timeout = '4s';

-- Default deny ------------------------------------------------------------------------------
-- The global form is the only one that works: EXECUTE for PUBLIC is a built-in default, and the
-- `in schema` form can add privileges but never takes a built-in one away.
alter default privileges revoke execute on functions from public;

-- Older Supabase projects grant everything in `public` to the API roles by name. Harmonia grants
-- what it means to grant, object by object.
alter default privileges in schema public
revoke all on tables from anon, authenticated, service_role;
alter default privileges in schema public
revoke all on sequences from anon, authenticated, service_role;
alter default privileges in schema public
revoke all on functions from anon, authenticated, service_role;

-- Schemas -----------------------------------------------------------------------------------
create schema private;
comment on schema private is
'Internals: SECURITY DEFINER functions and what clients must never read. Never exposed.';

-- Policies are evaluated as the calling role, so it must be able to name the helpers it calls.
grant usage on schema private to anon, authenticated, service_role;

-- Every function says `set search_path = pg_catalog, pg_temp`, and names everything else by its
-- schema. An empty path would not do: where pg_temp is not named, PostgreSQL searches it before all
-- others for types, and a caller's own type `uuid` would run the caller's code with owner's rights.

-- Errors ------------------------------------------------------------------------------------
create function private.fail(
    p_status integer,
    p_code text,
    p_message text,
    p_hint text default null
)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- PostgREST turns PTnnn into the HTTP status nnn.
    raise exception using
        errcode = 'PT' || p_status::text,
        message = p_message,
        detail = p_code,
        hint = coalesce(p_hint, '');
end;
$$;
comment on function private.fail(integer, text, text, text) is
'Raises the one error shape: HTTP status, stable code (as DETAIL), message and hint.';
grant execute on function private.fail(integer, text, text, text)
to anon, authenticated, service_role;

-- Estimates ---------------------------------------------------------------------------------
-- The planner estimates from the rows of every tenant, whatever the policies let one see, and
-- PostgREST shows its estimate to whoever asks (`Prefer: count=planned`). Declared immutable, a
-- call without arguments is answered while a statement is planned, and never again: a query is
-- planned with the constant true and costs nothing, and an EXPLAIN that came through PostgREST
-- fails before it has an answer. The operator may explain, under any role.
create function private.never_estimated()
returns boolean
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    if session_user = 'authenticator' and pg_catalog.current_query() ~* '^\s*explain' then
        perform private.fail(
            400, 'request.count', 'an estimated count would tell of other organizations',
            'ask for count=exact, with a filter'
        );
    end if;
    return true;
end;
$$;
comment on function private.never_estimated() is
'True, but for an API role that asks for a plan or its estimates: those are refused.';
grant execute on function private.never_estimated() to anon, authenticated, service_role;

-- Locking down ------------------------------------------------------------------------------
create procedure private.lock_down(p_table regclass)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_policy record;
begin
    -- REVOKE changes the row of a table in pg_class without locking the table. A vacuum that had
    -- begun would wait for that row, and whoever alters the table next would wait for the vacuum.
    execute pg_catalog.format('lock table only %s in access exclusive mode', p_table);
    -- The order makes every prefix fail closed: without privileges nothing is reachable, and
    -- permissive policies go before restrictive ones so that no step opens anything.
    execute pg_catalog.format(
        'revoke all on table %s from public, anon, authenticated, service_role', p_table
    );
    execute pg_catalog.format('alter table %s enable row level security', p_table);
    execute pg_catalog.format('alter table %s force row level security', p_table);
    for v_policy in
        select p.polname as name
        from pg_catalog.pg_policy as p
        where p.polrelid = p_table
        order by p.polpermissive desc, p.polname
    loop
        execute pg_catalog.format('drop policy %I on %s', v_policy.name, p_table);
    end loop;
    -- Only a restriction, so it opens nothing.
    execute pg_catalog.format(
        'create policy never_estimated on %s as restrictive for select '
        'to anon, authenticated using (private.never_estimated())',
        p_table
    );
    execute pg_catalog.format(
        'comment on policy never_estimated on %s is %L',
        p_table,
        'The planner counts the rows of every tenant, so nobody is told what it expects.'
    );
end;
$$;
comment on procedure private.lock_down (regclass) is
'Closes a table: no privileges for API roles, row level security enabled and forced.';

-- Keys --------------------------------------------------------------------------------------
create function private.uuid_v7()
returns uuid
language sql
volatile
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    -- RFC 9562, 5.7: 48 bits of Unix milliseconds, then random bits, version 7, variant 10.
    -- gen_random_uuid() already carries the variant; only the version nibble is rewritten.
    select pg_catalog.encode(
        pg_catalog.set_byte(
            pg_catalog.overlay(
                pg_catalog.uuid_send(pg_catalog.gen_random_uuid()),
                pg_catalog.substring(
                    pg_catalog.int8send(
                        pg_catalog.floor(
                            extract(epoch from pg_catalog.clock_timestamp()) * 1000
                        )::bigint
                    ),
                    3
                ),
                1,
                6
            ),
            6,
            112 + pg_catalog.floor(pg_catalog.random() * 16)::integer
        ),
        'hex'
    )::uuid
$$;
comment on function private.uuid_v7() is
'A time-ordered UUID, so that new rows of a tenant land next to each other in its index.';
grant execute on function private.uuid_v7() to authenticated, service_role;

create function private.tg_immutable_keys()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Attached with a WHEN clause that compares the key columns, so being called means a change.
    -- WITH CHECK alone would let a member of two organizations move a row between them.
    perform private.fail(
        409,
        'record.key_immutable',
        pg_catalog.format('the key of a row in %I cannot change', tg_table_name),
        'create a new record in the other organization instead'
    );
    return null;
end;
$$;
comment on function private.tg_immutable_keys() is
'Refuses an update that changes the tenant or the identity of a row.';

create function private.tg_touch_updated_at()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.updated_at := pg_catalog.now();
    return new;
end;
$$;
comment on function private.tg_touch_updated_at() is
'Keeps updated_at true, whatever the client sent.';
