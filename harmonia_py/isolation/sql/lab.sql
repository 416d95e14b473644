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

create or replace function pg_temp.hx_writes(stored oid [])
returns bigint
language sql
volatile
as $hx$
    select sum(
        pg_catalog.pg_stat_get_xact_tuples_inserted(o.oid)
        + pg_catalog.pg_stat_get_xact_tuples_updated(o.oid)
        + pg_catalog.pg_stat_get_xact_tuples_deleted(o.oid)
    )::bigint
    from unnest(stored) as o (oid)
$hx$;

-- What was never written to need not be compared; null, without counters: all is compared.
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

-- Runs probes one after the other, each in a subtransaction that is always rolled back, and
-- returns what the caller would have seen and what really changed (judged outside of RLS).
-- probes: [{"pre": [sql], "session": {name: value}, "role": text, "rows": bool, "sql": text,
-- "watch": [relation], "replica": bool}]; watch ["*"] looks at every relation that was touched.
-- Stops after a timeout, because the timer is the statement's.
create or replace function pg_temp.hx_run(probes jsonb)
returns table (
    probe int,
    code text,
    message text,
    detail text,
    hint text,
    affected bigint,
    result jsonb,
    changes jsonb
)
language plpgsql
as $hx$
declare
    p jsonb;
    item record;
    number int := 0;
    before jsonb;
    change jsonb;
    first_change jsonb;
begin
    for p in select j.value from pg_catalog.jsonb_array_elements(probes) as j loop
        probe := number;
        number := number + 1;
        affected := null;
        result := null;
        changes := null;
        first_change := null;
        message := null;
        detail := null;
        hint := null;
        begin
            if p ? 'pre' then
                if (p ->> 'replica')::boolean then
                    perform pg_catalog.set_config('session_replication_role', 'replica', true);
                end if;
                before := pg_temp.hx_counts(p -> 'watch');
                for item in select j.value from pg_catalog.jsonb_array_elements_text(p -> 'pre') as j
                loop
                    execute item.value;
                end loop;
                if not coalesce((p ->> 'stay')::boolean, false) then
                    if (p ->> 'replica')::boolean then
                        perform pg_catalog.set_config('session_replication_role', 'origin', true);
                    end if;
                end if;
                first_change := '{}';
                for item in
                    select h.relation, h.query
                    from pg_temp.hx_state as h
                    where
                        (p -> 'watch' ? h.relation or p -> 'watch' ? '*')
                        and (
                            before is null
                            or pg_temp.hx_writes(h.stored)
                            is distinct from (before ->> h.relation)::bigint
                        )
                loop
                    execute pg_catalog.format(
                        'select pg_catalog.jsonb_agg(s.mark) from (%s) as s where not exists ('
                        'select from pg_temp.hx_before as b where b.relation = %L '
                        'and b.mark = s.mark)', item.query, item.relation
                    ) into change;
                    execute pg_catalog.format(
                        'select coalesce($1, ''[]'') || coalesce(pg_catalog.jsonb_agg(b.mark), '
                        '''[]'') from pg_temp.hx_before as b where b.relation = %L and '
                        'b.mark not in (select s.mark from (%s) as s)', item.relation, item.query
                    ) into change using change;
                    first_change := first_change
                        || pg_catalog.jsonb_build_object(item.relation, change);
                end loop;
            elsif (p ->> 'replica')::boolean then
                perform pg_catalog.set_config('session_replication_role', 'replica', true);
            end if;
            before := pg_temp.hx_counts(p -> 'watch');
            for item in
                select j.key, j.value from pg_catalog.jsonb_each_text(p -> 'session') as j
            loop
                perform pg_catalog.set_config(item.key, item.value, true);
            end loop;
            perform pg_catalog.set_config('role', p ->> 'role', true);
            if (p ->> 'rows')::boolean then
                execute p ->> 'sql' into result;
            else
                execute p ->> 'sql';
                get diagnostics affected = row_count;
            end if;
            perform pg_catalog.set_config('role', 'none', true);
            changes := '{}';
            if p ? 'watch' then
                for item in
                    select h.relation, h.query
                    from pg_temp.hx_state as h
                    where
                        (p -> 'watch' ? h.relation or p -> 'watch' ? '*')
                        and (
                            before is null
                            or pg_temp.hx_writes(h.stored)
                            is distinct from (before ->> h.relation)::bigint
                        )
                loop
                    execute pg_catalog.format(
                        -- Rows are only turned into JSON when they are new.
                        'select pg_catalog.jsonb_build_object(''new'', ('
                        'select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(s.mark, s.scope, '
                        's.data)) from (%s) as s where not exists (select from '
                        'pg_temp.hx_before as b where b.relation = %L and b.mark = s.mark)), '
                        '''gone'', (select pg_catalog.jsonb_agg(b.mark) from pg_temp.hx_before as b '
                        'where b.relation = %L and b.mark not in (select s.mark from (%s) as s)))',
                        item.query, item.relation, item.relation, item.query
                    ) into change;
                    if change -> 'new' <> 'null' or change -> 'gone' <> 'null' then
                        changes := changes || pg_catalog.jsonb_build_object(item.relation, change);
                    end if;
                end loop;
            end if;
            raise exception 'done' using errcode = 'HX000';
        exception
            when query_canceled or assert_failure or others then
                get stacked diagnostics
                    code = returned_sqlstate,
                    message = message_text,
                    detail = pg_exception_detail,
                    hint = pg_exception_hint;
                if code = 'HX000' then
                    code := '00000';
                    message := null;
                end if;
        end;
        if first_change is not null and changes is not null then
            changes := changes || pg_catalog.jsonb_build_object('', first_change);
        end if;
        return next;
        exit when code = '57014';
    end loop;
end
$hx$;
