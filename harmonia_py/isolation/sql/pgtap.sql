-- What the tests of `harmonia verify --emit-pgtap` call; made inside their transaction.
create temporary table harmonia_actors (
    name text primary key,
    role text not null,
    settings jsonb not null
) on commit drop;

-- Act as somebody: the settings and the role that PostgREST would set.
create function pg_temp.act(who text) returns void
language plpgsql volatile as $hx$
declare
    v_actor record;
    v_item record;
begin
    select a.role, a.settings into strict v_actor
    from pg_temp.harmonia_actors as a where a.name = who;
    for v_item in select s.key, s.value from jsonb_each_text(v_actor.settings) as s loop
        perform set_config(v_item.key, v_item.value, true);
    end loop;
    perform set_config('role', v_actor.role, true);
end
$hx$;

-- The table's rows, seen from outside: a mark that any change alters, whose it is, the row.
-- `state` is the query; the marks of rows that appeared or vanished tell what a statement did.
create function pg_temp.snapshot(state text) returns jsonb
language plpgsql volatile as $hx$
declare
    v_rows jsonb;
begin
    execute format(
        'select coalesce(jsonb_object_agg(s.mark, jsonb_build_array(s.scope, s.data)), ''{}'')'
        ' from (%s) as s',
        state
    ) into v_rows;
    return v_rows;
end
$hx$;

-- What a statement does to rows of the given scopes (null: to any row); it is undone.
-- Returns 'reached ...' or why it did not. `mine` are columns that make a row the actor's own.
create function pg_temp.outcome(
    who text, state text, scopes text[], mine text[], statement text
) returns text
language plpgsql volatile as $hx$
declare
    v_before jsonb;
    v_after jsonb;
    v_user text;
    v_row jsonb;
begin
    v_before := pg_temp.snapshot(state);
    begin
        perform pg_temp.act(who);
        v_user := current_setting('request.jwt.claim.sub', true);
        execute statement;
        perform set_config('role', 'none', true);
        v_after := pg_temp.snapshot(state);
        raise exception using errcode = 'HX000';
    exception
        when query_canceled or assert_failure or others then
            if sqlstate = 'HX000' then
                null;
            elsif sqlstate like '23%' and sqlstate <> '23502' then
                -- The policies had let it pass: they are checked before constraints are.
                return format('reached, but for a constraint: %s', sqlerrm);
            else
                return format('refused: %s %s', sqlstate, sqlerrm);
            end if;
    end;
    for v_row in
        select d.value
        from jsonb_each(v_before || v_after) as d
        where not (v_before ? d.key and v_after ? d.key)
    loop
        if
            (scopes is null or v_row ->> 0 = any (scopes))
            and not exists (
                select from unnest(mine) as c where v_row -> 1 ->> c = v_user
            )
        then
            return format('reached %s', v_row -> 1);
        end if;
    end loop;
    return 'no effect';
end
$hx$;

-- The first of the statements that reaches rows of the scopes, or null.
create function pg_temp.reaches(
    who text, state text, scopes text[], mine text[], variadic statements text[]
) returns text
language sql volatile as $hx$
    select o.statement || ': ' || o.outcome
    from (
        select s.statement, pg_temp.outcome(who, state, scopes, mine, s.statement) as outcome
        from unnest(statements) as s (statement)
    ) as o
    where o.outcome like 'reached%'
    limit 1
$hx$;

-- How many rows of the scopes (null: of any) somebody reads. `query` gives fingerprints of what
-- they see, `known` the fingerprint, scope and row of all there is. Null: an unexpected error.
create function pg_temp.reads(
    who text, query text, known text, scopes text[], mine text[]
) returns bigint
language plpgsql volatile as $hx$
declare
    v_seen jsonb;
    v_count bigint;
    v_user text;
begin
    begin
        perform pg_temp.act(who);
        v_user := current_setting('request.jwt.claim.sub', true);
        execute query into v_seen;
        raise exception using errcode = 'HX000';
    exception
        when insufficient_privilege then
            return 0;
        when query_canceled or assert_failure or others then
            if sqlstate <> 'HX000' then
                raise warning '% %', sqlstate, sqlerrm;
                return null;
            end if;
    end;
    execute format(
        'with k as materialized (select s.mark, s.data,'
        ' ($1 is null or coalesce(s.scope = any ($1), false)) and not exists ('
        'select from unnest($2) as c where s.data ->> c = $3) as wanted'
        ' from (%s) as s (mark, scope, data))'
        ' select count(*) from k where k.wanted and $4 ? k.mark'
        ' and not exists (select from k as o where o.mark = k.mark and not o.wanted)',
        known
    ) into v_count using scopes, mine, v_user, coalesce(v_seen, '[]');
    return v_count;
end
$hx$;
