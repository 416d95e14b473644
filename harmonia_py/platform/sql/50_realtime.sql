-- Realtime: the broadcast table, its helpers and the publication.
do $$
declare
    v_type record;
begin
    for v_type in
        select * from (values
            ('action', $t$as enum ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'ERROR')$t$),
            ('equality_op', $t$as enum ('eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'in')$t$),
            (
                'user_defined_filter',
                $t$as (column_name text, op realtime.equality_op, value text)$t$
            ),
            (
                'wal_column',
                $t$as (
                    name text, type_name text, type_oid oid, value jsonb, is_pkey boolean,
                    is_selectable boolean
                )$t$
            ),
            (
                'wal_rls',
                $t$as (wal jsonb, is_rls_enabled boolean, subscription_ids uuid[], errors text[])$t$
            )
        ) as wanted (name, definition)
    loop
        if pg_catalog.to_regtype('realtime.' || v_type.name) is null then
            execute pg_catalog.format('create type realtime.%I %s', v_type.name, v_type.definition);
        end if;
    end loop;
end;
$$;

create table if not exists realtime.schema_migrations (
    version bigint not null primary key,
    inserted_at timestamp
);

create table if not exists realtime.messages (
    topic text not null,
    extension text not null,
    payload jsonb,
    event text,
    private boolean default false,
    updated_at timestamp not null default now(),
    inserted_at timestamp not null default now(),
    id uuid not null default gen_random_uuid(),
    primary key (id, inserted_at)
) partition by range (inserted_at);
create index if not exists messages_inserted_at_topic_index
on realtime.messages (inserted_at desc, topic)
where extension = 'broadcast' and private is true;
alter table realtime.messages enable row level security;

do $$
declare
    v_day date;
begin
    -- The server keeps a partition per day around today; so does every run of this file.
    for v_day in
        select d::date from pg_catalog.generate_series(
            current_date - 1, current_date + 5, interval '1 day'
        ) as d
    loop
        execute pg_catalog.format(
            'create table if not exists realtime.%I partition of realtime.messages '
            'for values from (%L) to (%L)',
            'messages_' || pg_catalog.to_char(v_day, 'YYYY_MM_DD'), v_day, v_day + 1
        );
    end loop;
end;
$$;

create or replace function realtime.topic()
returns text
language sql
stable
as $$
    select nullif(current_setting('realtime.topic', true), '')::text
$$;

create or replace function realtime.to_regrole(role_name text)
returns regrole
language sql
immutable
as $$
    select role_name::regrole
$$;

create table if not exists realtime.subscription (
    id bigint generated always as identity primary key,
    subscription_id uuid not null,
    entity regclass not null,
    filters realtime.user_defined_filter[] not null default '{}',
    claims jsonb not null,
    claims_role regrole not null generated always as (
        realtime.to_regrole(claims ->> 'role')
    ) stored,
    created_at timestamp not null default timezone('utc', now()),
    action_filter text default '*'
);
create index if not exists ix_realtime_subscription_entity on realtime.subscription (entity);
create unique index if not exists subscription_subscription_id_entity_filters_key
on realtime.subscription (subscription_id, entity, filters);

create or replace function realtime.send(
    payload jsonb, event text, topic text, private boolean default true
)
returns void
language plpgsql
as $$
begin
    perform pg_catalog.set_config('realtime.topic', topic, true);
    insert into realtime.messages (payload, event, topic, private, extension)
    values (payload, event, topic, private, 'broadcast');
exception when others then
    raise warning 'ErrorSendingBroadcastMessage: %', sqlerrm;
end;
$$;

create or replace function realtime.broadcast_changes(
    topic_name text,
    event_name text,
    operation text,
    table_name text,
    table_schema text,
    new record,
    old record,
    level text default 'ROW'
)
returns void
language plpgsql
as $$
begin
    if level = 'STATEMENT' then
        raise exception 'function can only be triggered for each row, not for each statement';
    end if;
    if operation not in ('INSERT', 'UPDATE', 'DELETE') then
        raise exception 'Unexpected operation type: %', operation;
    end if;
    perform realtime.send(
        pg_catalog.jsonb_build_object(
            'old_record', old, 'record', new, 'operation', operation, 'table', table_name,
            'schema', table_schema
        ),
        event_name,
        topic_name
    );
exception when others then
    raise exception 'Failed to process the row: %', sqlerrm;
end;
$$;

alter table realtime.messages owner to supabase_realtime_admin;
grant select, insert, update on table realtime.messages
to postgres, anon, authenticated, service_role;
grant all on table realtime.messages to postgres, dashboard_user;
grant select on table realtime.subscription, realtime.schema_migrations
to anon, authenticated, service_role;
grant all on table realtime.subscription, realtime.schema_migrations
to supabase_realtime_admin, postgres, dashboard_user;
grant execute on function realtime.topic() to anon, authenticated, service_role, postgres;

do $$
begin
    if not exists (
        select from pg_catalog.pg_publication where pubname = 'supabase_realtime'
    ) then
        create publication supabase_realtime;
        alter publication supabase_realtime owner to postgres;
    end if;
    if not exists (
        select from pg_catalog.pg_publication
        where pubname = 'supabase_realtime_messages_publication'
    ) then
        create publication supabase_realtime_messages_publication for table realtime.messages;
    end if;
end;
$$;
