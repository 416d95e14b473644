-- The bench every probe runs on: temporary, so nothing of it survives the transaction.
create temporary table if not exists hx_before (
    relation text not null,
    mark text not null,
    primary key (relation, mark)
);

-- How to fingerprint each relation (mark, scope, data), and where its rows are stored.
create temporary table if not exists hx_state (
    relation text primary key,
    query text not null,
    stored oid [] not null
);

-- How many rows were written in some places so far, rolled back or not; null without counters.
create or replace function pg_temp.hx_writes(stored oid [])
returns bigint
language plpgsql
volatile
-- It is called before and after a probe set its search path, and its expressions are kept with the
-- path they were planned under: without this both calls plan them anew, and the server lets go of
-- none of it before the transaction ends.
set search_path = pg_catalog, pg_temp
as $hx$
declare
    place oid;
    written bigint;
begin
    if pg_catalog.current_setting('track_counts')::boolean then
        -- Asked twice for each probe: no query, which would have to be set up each time.
        foreach place in array stored loop
            written := coalesce(written, 0)
                + pg_catalog.pg_stat_get_xact_tuples_inserted(place)
                + pg_catalog.pg_stat_get_xact_tuples_updated(place)
                + pg_catalog.pg_stat_get_xact_tuples_deleted(place);
        end loop;
    end if;
    return written;
end
$hx$;

-- The same for each relation. What was not written to since need not be compared.
create or replace function pg_temp.hx_counts(watch jsonb)
returns jsonb
language sql
volatile
as $hx$
    select pg_catalog.jsonb_object_agg(h.relation, pg_temp.hx_writes(h.stored))
    from pg_temp.hx_state as h
    where
        pg_catalog.current_setting('track_counts')::boolean
        and (watch ? h.relation or watch ? '*')
$hx$;

-- What a probe changed, judged outside of RLS; rows are only turned into JSON when they are new.
create or replace function pg_temp.hx_changes(watch jsonb, before jsonb)
returns jsonb
language plpgsql
as $hx$
declare
    item record;
    change jsonb;
    found_so_far jsonb := '{}';
begin
    for item in
        select h.relation, h.query
        from pg_temp.hx_state as h
        where
            (watch ? h.relation or watch ? '*')
            and (
                before is null
                or pg_temp.hx_writes(h.stored) is distinct from (before ->> h.relation)::bigint
            )
    loop
        execute pg_catalog.format(
            'select pg_catalog.jsonb_build_object(''new'', ('
            'select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(s.mark, s.scope, '
            's.data)) from (%s) as s where not exists (select from '
            'pg_temp.hx_before as b where b.relation = %L and b.mark = s.mark)), '
            '''gone'', (select pg_catalog.jsonb_agg(b.mark) from pg_temp.hx_before as b '
            'where b.relation = %L and b.mark not in (select s.mark from (%s) as s)))',
            item.query, item.relation, item.relation, item.query
        ) into change;
        if change -> 'new' <> 'null' or change -> 'gone' <> 'null' then
            found_so_far := found_so_far || pg_catalog.jsonb_build_object(item.relation, change);
        end if;
    end loop;
    return found_so_far;
end
$hx$;

-- What the statements before a probe changed by themselves: marks that are no work of the probe.
create or replace function pg_temp.hx_prepared(watch jsonb, before jsonb)
returns jsonb
language sql
volatile
as $hx$
    select coalesce(pg_catalog.jsonb_agg(m.mark), '[]')
    from pg_catalog.jsonb_each(pg_temp.hx_changes(watch, before)) as c (relation, change)
    cross join lateral (
        select n.value -> 0
        from pg_catalog.jsonb_array_elements(nullif(c.change -> 'new', 'null')) as n (value)
        union all
        select g.value
        from pg_catalog.jsonb_array_elements(nullif(c.change -> 'gone', 'null')) as g (value)
    ) as m (mark)
$hx$;

-- Triggers and foreign keys off, or on again. Each switch makes the server forget all its plans,
-- which costs more than most probes: it is thrown only where it has to be.
create or replace function pg_temp.hx_quiet(quiet boolean)
returns void
language plpgsql
as $hx$
begin
    if coalesce(quiet, false)
        <> (pg_catalog.current_setting('session_replication_role') = 'replica')
    then
        perform pg_catalog.set_config(
            'session_replication_role', case when quiet then 'replica' else 'origin' end, true
        );
    end if;
end
$hx$;

-- Probes in a row that want the same done before them, in the order of the list.
create or replace function pg_temp.hx_parts(probes jsonb)
returns setof jsonb
language sql
as $hx$
    select pg_catalog.jsonb_agg(p.value order by p.place)
    from (
        select
            s.value,
            s.place,
            pg_catalog.count(*) filter (where s.begins) over (order by s.place) as part
        from (
            select
                e.value,
                e.place,
                row(e.value -> 'pre', e.value -> 'replica', e.value -> 'stay')
                is distinct from pg_catalog.lag(
                    row(e.value -> 'pre', e.value -> 'replica', e.value -> 'stay')
                ) over (order by e.place) as begins
            from pg_catalog.jsonb_array_elements(probes) with ordinality as e (value, place)
        ) as s
    ) as p
    group by p.part
    order by p.part
$hx$;

-- Runs probes one after the other, each in a subtransaction that is always rolled back, and
-- returns what the caller would have seen and what really changed.
-- batch: {"actors": [{"role": text, "session": {name: value}}], "probes": [{"actor": place in the
-- former, "session": {name: value} besides, "pre": [sql], "rows": bool, "sql": text, "watch":
-- [relation], "stored": oid[], "replica": bool, "stay": bool}]}; "stored" is where the rows of the
-- relations are; watch ["*"] looks at every relation that was touched. Without "stay", "replica" is
-- over when "pre" is done, if there is any.
-- Stops after a timeout, because the timer is the statement's.
create or replace function pg_temp.hx_run(batch jsonb)
returns table (
    probe int,
    code text,
    message text,
    detail text,
    hint text,
    affected bigint,
    result jsonb,
    changes jsonb,
    tried boolean
)
language plpgsql
as $hx$
declare
    actors constant jsonb := batch -> 'actors';
    probes constant jsonb := batch -> 'probes';
    actor jsonb;
    settings jsonb;
    part jsonb;
    p jsonb;
    item record;
    number int := 0;
    watched jsonb;
    places oid [];
    everywhere oid [];
    writes bigint;
    before jsonb;
    prepared jsonb;
    acting text;
    -- What is raised to undo a probe, or a part, is only taken for that after its end was reached:
    -- a project may raise the same.
    ended boolean;
    late boolean := false;
begin
    if probes @> '[{"watch": ["*"]}]' then
        everywhere := (
            select pg_catalog.array_agg(o.oid)
            from pg_temp.hx_state as h
            cross join lateral unnest(h.stored) as o (oid)
        );
    end if;
    for part in select pg_temp.hx_parts(probes) loop
        p := part -> 0;
        prepared := null;
        tried := true;
        ended := false;
        begin
            perform pg_temp.hx_quiet((p ->> 'replica')::boolean);
            if p ? 'pre' then
                watched := (
                    select pg_catalog.jsonb_agg(distinct w.name)
                    from pg_catalog.jsonb_array_elements(part) as m
                    cross join lateral pg_catalog.jsonb_array_elements_text(
                        m.value -> 'watch'
                    ) as w (name)
                );
                before := pg_temp.hx_counts(watched);
                for item in select j.value from pg_catalog.jsonb_array_elements_text(p -> 'pre') as j
                loop
                    execute item.value;
                end loop;
                if (p ->> 'stay')::boolean is distinct from true then
                    perform pg_temp.hx_quiet(false);
                end if;
                prepared := pg_temp.hx_prepared(watched, before);
            end if;
            -- As the first probe finds it, and so never more than a later one does: what a probe
            -- writes to has more when it is done.
            before := case when everywhere is not null then pg_temp.hx_counts('["*"]') end;
            for p in select j.value from pg_catalog.jsonb_array_elements(part) as j loop
                probe := number;
                number := number + 1;
                affected := null;
                result := null;
                changes := null;
                message := null;
                detail := null;
                hint := null;
                ended := false;
                begin
                    if p ? 'watch' then
                        places := coalesce((p ->> 'stored')::oid [], everywhere, '{}');
                        writes := pg_temp.hx_writes(places);
                    end if;
                    -- One query for all of them, and below assignments instead of queries: each
                    -- probe comes by here.
                    actor := actors -> (p ->> 'actor')::int;
                    settings := actor -> 'session';
                    if p ? 'session' then
                        settings := settings || (p -> 'session');
                    end if;
                    perform pg_catalog.count(pg_catalog.set_config(j.key, j.value, true))
                    from pg_catalog.jsonb_each_text(settings) as j;
                    acting := pg_catalog.set_config('role', actor ->> 'role', true);
                    if (p ->> 'rows')::boolean then
                        execute p ->> 'sql' into result;
                    else
                        execute p ->> 'sql';
                        get diagnostics affected = row_count;
                    end if;
                    acting := pg_catalog.set_config('role', 'none', true);
                    changes := '{}';
                    if p ? 'watch' and coalesce(pg_temp.hx_writes(places) <> writes, true) then
                        changes := pg_temp.hx_changes(p -> 'watch', before);
                        if everywhere is not null then
                            before := pg_temp.hx_counts('["*"]');
                        end if;
                    end if;
                    ended := true;
                    raise exception 'done' using errcode = 'HX000';
                exception
                    when query_canceled or assert_failure or others then
                        if ended and sqlstate = 'HX000' then
                            code := '00000';
                        else
                            get stacked diagnostics
                                code = returned_sqlstate,
                                message = message_text,
                                detail = pg_exception_detail,
                                hint = pg_exception_hint;
                        end if;
                end;
                if prepared is not null and changes is not null then
                    changes := changes || pg_catalog.jsonb_build_object('', prepared);
                end if;
                return next;
                late := code = '57014';
                exit when late;
            end loop;
            ended := true;
            raise exception 'done' using errcode = 'HX000';
        exception
            when query_canceled or assert_failure or others then
                get stacked diagnostics
                    code = returned_sqlstate,
                    message = message_text,
                    detail = pg_exception_detail,
                    hint = pg_exception_hint;
                if not ended or code <> 'HX000' then
                    -- What had to be done before them failed: none of them was tried.
                    affected := null;
                    result := null;
                    changes := null;
                    tried := false;
                    for p in select j.value from pg_catalog.jsonb_array_elements(part) as j loop
                        probe := number;
                        number := number + 1;
                        return next;
                        late := code = '57014';
                        exit when late;
                    end loop;
                end if;
        end;
        exit when late;
    end loop;
end
$hx$;
