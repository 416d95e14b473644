set local lock_timeout = '4s';

-- Outbox: what people are told by e-mail ------------------------------------------------------
create function private.is_mail_address(p_text text)
returns boolean
language sql
immutable
parallel safe
strict
set search_path = pg_catalog, pg_temp
as $$
    -- One plain address: no list, group, comment, quoting or encoded word, and no character that
    -- some reader of headers takes for the end of a line. The ranges name those beyond ASCII that
    -- the classes know or do not know, as the locale has it.
    select
        pg_catalog.char_length(p_text) <= 254
        and p_text !~ '=\?'
        and p_text ~ (
            '^[^][:space:][:cntrl:]\u0080-\u00a0\u2028\u2029<>(),;:@"\\[]+'
            '@[^][:space:][:cntrl:]\u0080-\u00a0\u2028\u2029<>(),;:@"\\[]+$'
        )
$$;
comment on function private.is_mail_address(text) is
'Whether a text is one plain e-mail address that a message can be sent to.';
-- A CHECK runs with the rights of whoever writes.
grant execute on function private.is_mail_address(text) to authenticated, service_role;

create table private.notifications (
    id uuid not null default private.uuid_v7(),
    organization_id uuid,
    kind text not null,
    dedupe_key text not null,
    recipient text not null,
    subject text not null,
    body text not null,
    status text not null default 'pending',
    attempts bigint not null default 0,
    next_attempt_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    sent_at timestamptz,
    last_error text,
    constraint notifications_pkey primary key (id),
    -- Saying it twice says it once.
    constraint notifications_dedupe_key_key unique (dedupe_key, recipient),
    constraint notifications_status_check check (status in ('pending', 'sent', 'failed')),
    -- A line break in a header would start another header.
    constraint notifications_subject_check check (
        char_length(subject) between 1 and 200 and subject !~ '[[:cntrl:]]'
    ),
    -- What a purged organization was told keeps no address.
    constraint notifications_recipient_check check (
        private.is_mail_address(recipient) or recipient = 'erased-' || id::text
    )
);
comment on table private.notifications is
'E-mail to be sent and sent, one row per person, with its state of delivery.';
create index notifications_due_idx on private.notifications (next_attempt_at)
where status = 'pending';
create index notifications_organization_id_idx on private.notifications (organization_id);
call private.lock_down('private.notifications');

create function private.notify_owners(
    p_organization_id uuid, p_kind text, p_dedupe_key text, p_subject text, p_body text
)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count bigint;
begin
    insert into private.notifications (
        organization_id, kind, dedupe_key, recipient, subject, body
    )
    select
        p_organization_id,
        p_kind,
        -- Whoever owns two organizations is told of both.
        p_dedupe_key || ' for ' || p_organization_id::text,
        u.email,
        p_subject,
        p_body
    from public.memberships as m
    inner join auth.users as u on m.user_id = u.id
    where
        m.organization_id = p_organization_id
        and m.role = 'owner'
        and m.status = 'active'
        -- One owner's odd address must not keep anybody else from being told.
        and private.is_mail_address(u.email)
        and u.deleted_at is null
    on conflict (dedupe_key, recipient) do nothing;
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;
comment on function private.notify_owners(uuid, text, text, text, text) is
'Puts a message to every owner with an address into the outbox, once. Internal.';

-- Incidents ---------------------------------------------------------------------------------
create table private.incidents (
    id uuid not null default private.uuid_v7(),
    title text not null,
    summary text not null,
    status text not null default 'open',
    window_from timestamptz not null,
    window_to timestamptz not null,
    tables text[],
    actors uuid[],
    opened_by text not null,
    opened_at timestamptz not null default now(),
    assessed_at timestamptz,
    notified_at timestamptz,
    closed_at timestamptz,
    resolution text,
    constraint incidents_pkey primary key (id),
    constraint incidents_title_check check (
        char_length(title) between 3 and 150 and title !~ '[[:cntrl:]]'
    ),
    constraint incidents_status_check check (
        status in ('open', 'assessed', 'notified', 'closed')
    ),
    constraint incidents_window_check check (window_from < window_to)
);
comment on table private.incidents is
'What went wrong, in which window, concerning which tables and actors.';
call private.lock_down('private.incidents');

create table private.incident_events (
    incident_id uuid not null,
    id bigint generated always as identity,
    at timestamptz not null default clock_timestamp(),
    event text not null,
    detail jsonb,
    constraint incident_events_pkey primary key (incident_id, id),
    constraint incident_events_incident_id_fkey
    foreign key (incident_id) references private.incidents (id) on delete cascade
);
comment on table private.incident_events is 'The timeline of an incident.';
call private.lock_down('private.incident_events');

create table private.incident_organizations (
    incident_id uuid not null,
    organization_id uuid not null,
    events bigint not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    constraint incident_organizations_pkey primary key (incident_id, organization_id),
    constraint incident_organizations_incident_id_fkey
    foreign key (incident_id) references private.incidents (id) on delete cascade
);
comment on table private.incident_organizations is
'The organizations an incident concerns, from their audit records.';
create index incident_organizations_organization_id_idx
on private.incident_organizations (organization_id);
call private.lock_down('private.incident_organizations');

create function private.open_incident(
    p_title text,
    p_summary text,
    p_from timestamptz,
    p_to timestamptz,
    p_tables text[],
    p_actors uuid[],
    p_opened_by text
)
returns uuid
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unknown text;
    v_id uuid;
begin
    -- A name that is never recorded would find nobody concerned, and look like an all-clear.
    select t.name
    into v_unknown
    from pg_catalog.unnest(p_tables) as t (name)
    where not exists (
        select 1
        from pg_catalog.pg_class as c
        where
            c.relkind in ('r', 'p')
            and not c.relispartition
            and c.relnamespace::regnamespace::text || '.' || c.relname = t.name
    )
    limit 1;
    if found then
        perform private.fail(
            400,
            'incident.table',
            pg_catalog.format('there is no table %s', v_unknown),
            'name it with its schema, as in public.contacts'
        );
    end if;
    insert into private.incidents as i (
        title, summary, window_from, window_to, tables, actors, opened_by
    )
    values (p_title, p_summary, p_from, p_to, p_tables, p_actors, p_opened_by)
    returning i.id into v_id;
    insert into private.incident_events (incident_id, event, detail)
    values (v_id, 'opened', pg_catalog.jsonb_build_object('by', p_opened_by, 'title', p_title));
    perform private.audit_record(null, 'incident.opened', null, 'private.incidents', v_id::text);
    return v_id;
end;
$$;
comment on function private.open_incident(
    text, text, timestamptz, timestamptz, text[], uuid[], text
) is 'Opens an incident. For operators.';

create function private.permissions_on(p_tables text[])
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    -- From the policies themselves. Null as soon as one of the tables has none that speaks of a
    -- permission: what opens it nobody can say.
    with opened as (
        select
            t.name,
            array(
                select distinct k.found[1]
                from pg_catalog.pg_policy as p
                inner join pg_catalog.pg_class as c on p.polrelid = c.oid
                cross join lateral pg_catalog.regexp_matches(
                    pg_catalog.concat(
                        pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                        pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
                    ),
                    '''([a-z_]+\.[a-z_]+)''',
                    'g'
                ) as k (found)
                where c.relnamespace::regnamespace::text || '.' || c.relname = t.name
            ) as permissions
        from pg_catalog.unnest(p_tables) as t (name)
    )

    select
        case
            when pg_catalog.bool_and(pg_catalog.cardinality(o.permissions) > 0)
                then pg_catalog.array_agg(distinct p.key)
        end
    from opened as o
    left join lateral pg_catalog.unnest(o.permissions) as p (key) on true
$$;
comment on function private.permissions_on(text[]) is
'The permissions that open any of these tables, from their policies; null if that is unknown.';

create function private.assess_incident(p_incident_id uuid)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_incident private.incidents;
    v_permissions text[];
    v_count bigint;
begin
    select i.*
    into v_incident
    from private.incidents as i
    where i.id = p_incident_id
    for update;
    if v_incident.id is null or v_incident.status = 'closed' then
        perform private.fail(
            404, 'incident.unknown', 'there is no open incident with this id', null
        );
    end if;
    v_permissions := private.permissions_on(v_incident.tables);
    insert into private.incident_organizations as x (
        incident_id, organization_id, events, first_at, last_at
    )
    select
        p_incident_id, e.organization_id, pg_catalog.count(*), pg_catalog.min(e.at),
        pg_catalog.max(e.at)
    from audit.events as e
    where
        e.at >= v_incident.window_from
        and e.at <= v_incident.window_to
        and e.organization_id <> '00000000-0000-0000-0000-000000000000'
        and (
            v_incident.tables is null
            or e.table_name = any(v_incident.tables)
            -- A use of support access says in its permissions what it opened. Where its payload
            -- was erased, or no policy says what opens the table, nobody can say it was not that.
            or (
                e.action = 'support.access'
                and (
                    e.payload is null
                    or v_permissions is null
                    or e.payload -> 'permissions' ?| v_permissions
                )
            )
        )
        and (
            v_incident.actors is null
            or e.actor_id = any(v_incident.actors)
            or e.api_key_id = any(v_incident.actors)
        )
    group by e.organization_id
    on conflict (incident_id, organization_id) do update
    set events = excluded.events, first_at = excluded.first_at, last_at = excluded.last_at;
    select pg_catalog.count(*)
    into v_count
    from private.incident_organizations as x
    where x.incident_id = p_incident_id;
    update private.incidents
    set
        status = case when status = 'open' then 'assessed' else status end,
        assessed_at = pg_catalog.now()
    where id = p_incident_id;
    insert into private.incident_events (incident_id, event, detail)
    values (
        p_incident_id, 'assessed', pg_catalog.jsonb_build_object('organizations', v_count)
    );
    return v_count;
end;
$$;
comment on function private.assess_incident(uuid) is
'Finds the organizations an incident concerns in the audit record; safe to repeat.';

create function private.notify_incident(p_incident_id uuid, p_subject text, p_body text)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_incident private.incidents;
    v_organization record;
    v_count bigint := 0;
begin
    select i.*
    into v_incident
    from private.incidents as i
    where i.id = p_incident_id
    for update;
    if v_incident.id is null or v_incident.status not in ('assessed', 'notified') then
        perform private.fail(
            409, 'incident.not_assessed', 'this incident is not assessed, or it is closed',
            'run harmonia incident assess first'
        );
    end if;
    for v_organization in
        select x.*, o.name
        from private.incident_organizations as x
        inner join public.organizations as o on x.organization_id = o.id
        where x.incident_id = p_incident_id and o.status <> 'purged'
        order by x.organization_id
    loop
        v_count := v_count + private.notify_owners(
            v_organization.organization_id,
            'incident',
            'incident ' || p_incident_id::text,
            p_subject,
            pg_catalog.replace(
                pg_catalog.replace(
                    pg_catalog.replace(
                        pg_catalog.replace(
                            p_body, '{organization}', v_organization.name
                        ),
                        '{events}', v_organization.events::text
                    ),
                    '{first_at}', v_organization.first_at::text
                ),
                '{last_at}', v_organization.last_at::text
            )
        );
        -- Its record says that it was told, so not where there was nobody to tell.
        if exists (
            select 1
            from private.notifications as n
            where
                n.organization_id = v_organization.organization_id
                and n.dedupe_key
                = 'incident ' || p_incident_id::text || ' for ' || n.organization_id::text
        ) and not exists (
            select 1
            from audit.events as e
            where
                e.organization_id = v_organization.organization_id
                and e.action = 'incident.notified'
                and e.record_key = p_incident_id::text
        ) then
            perform private.audit_record(
                v_organization.organization_id, 'incident.notified', null, 'private.incidents',
                p_incident_id::text
            );
        end if;
    end loop;
    update private.incidents
    set status = 'notified', notified_at = coalesce(notified_at, pg_catalog.now())
    where id = p_incident_id;
    insert into private.incident_events (incident_id, event, detail)
    values (p_incident_id, 'notified', pg_catalog.jsonb_build_object('messages', v_count));
    return v_count;
end;
$$;
comment on function private.notify_incident(uuid, text, text) is
'Puts one message per owner of each organization concerned into the outbox; safe to repeat.';

create function private.close_incident(p_incident_id uuid, p_resolution text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update private.incidents
    set status = 'closed', closed_at = pg_catalog.now(), resolution = p_resolution
    where id = p_incident_id and status <> 'closed';
    if not found then
        perform private.fail(
            404, 'incident.unknown', 'there is no open incident with this id', null
        );
    end if;
    insert into private.incident_events (incident_id, event, detail)
    values (
        p_incident_id, 'closed', pg_catalog.jsonb_build_object('resolution', p_resolution)
    );
    perform private.audit_record(
        null, 'incident.closed', null, 'private.incidents', p_incident_id::text
    );
end;
$$;
comment on function private.close_incident(uuid, text) is 'Closes an incident. For operators.';

-- Sub-processors ----------------------------------------------------------------------------
create table public.subprocessors (
    key text not null,
    version bigint not null,
    name text not null,
    purpose text not null,
    location text not null,
    url text,
    effective_from date not null,
    effective_to date,
    announced_at timestamptz,
    created_at timestamptz not null default now(),
    constraint subprocessors_pkey primary key (key, version),
    constraint subprocessors_key_check check (key ~ '^[a-z][a-z0-9_-]{1,62}$'),
    constraint subprocessors_version_check check (version >= 1),
    constraint subprocessors_name_check check (
        char_length(name) between 1 and 200 and name !~ '[[:cntrl:]]'
    ),
    constraint subprocessors_effective_check check (effective_to >= effective_from),
    constraint subprocessors_url_check check (url ~ '^https://[^[:space:]<>"]+$')
);
comment on table public.subprocessors is
'Who else processes customer data, since when and for what. Each change is a new version.';
call private.lock_down('public.subprocessors');

create table public.subprocessor_subscriptions (
    organization_id uuid not null,
    email text not null,
    created_at timestamptz not null default now(),
    constraint subprocessor_subscriptions_pkey primary key (organization_id, email),
    constraint subprocessor_subscriptions_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint subprocessor_subscriptions_email_check check (
        email = lower(email) and private.is_mail_address(email)
    )
);
comment on table public.subprocessor_subscriptions is
'Who in an organization is told before a sub-processor changes.';
call private.lock_down('public.subprocessor_subscriptions');
call private.audit_table('public.subprocessor_subscriptions');

create trigger tg_subprocessor_subscriptions__immutable_keys
before update on public.subprocessor_subscriptions
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.email is distinct from new.email
)
execute function private.tg_immutable_keys();

create function private.tg_subprocessor_subscriptions__few()
returns trigger
language plpgsql
-- Counts past the policies.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_organization_id uuid;
begin
    for v_organization_id in
        select distinct r.organization_id
        from new_rows as r
        order by r.organization_id
    loop
        -- One at a time in one organization, or statements sent together would each count what was
        -- before.
        perform pg_catalog.pg_advisory_xact_lock(
            pg_catalog.hashtextextended('subscriptions ' || v_organization_id::text, 0)
        );
        if (
            select pg_catalog.count(*)
            from public.subprocessor_subscriptions as s
            where s.organization_id = v_organization_id
        ) > 20
        then
            perform private.fail(
                409,
                'subprocessor.too_many_subscriptions',
                'an organization can name at most 20 addresses',
                'remove one first, or name a list of your own'
            );
        end if;
    end loop;
    return null;
end;
$$;
comment on function private.tg_subprocessor_subscriptions__few() is
'Keeps the outbox from being used to write to whomever one likes: nobody confirmed the addresses.';

create trigger tg_subprocessor_subscriptions__few
after insert on public.subprocessor_subscriptions
referencing new table as new_rows
for each statement
execute function private.tg_subprocessor_subscriptions__few();

create function private.set_subprocessor(
    p_key text,
    p_name text,
    p_purpose text,
    p_location text,
    p_url text,
    p_effective_from date,
    p_effective_to date
)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_version bigint;
begin
    -- One change of the registry at a time, so that versions have no gaps and no rivals.
    perform pg_catalog.pg_advisory_xact_lock(486102);
    select coalesce(pg_catalog.max(s.version), 0) + 1
    into v_version
    from public.subprocessors as s
    where s.key = p_key;
    update public.subprocessors as s
    set effective_to = greatest(p_effective_from, s.effective_from)
    where s.key = p_key and s.version = v_version - 1 and s.effective_to is null;
    insert into public.subprocessors (
        key, version, name, purpose, location, url, effective_from, effective_to
    )
    values (
        p_key, v_version, p_name, p_purpose, p_location, p_url, p_effective_from, p_effective_to
    );
    perform private.audit_record(
        null,
        'subprocessor.changed',
        pg_catalog.jsonb_build_object('name', p_name, 'effective_from', p_effective_from),
        'public.subprocessors',
        p_key || '/' || v_version::text
    );
    return v_version;
end;
$$;
comment on function private.set_subprocessor(text, text, text, text, text, date, date) is
'Adds a sub-processor or a new version of one. For operators.';

create function private.announce_subprocessors()
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_change record;
    v_count bigint := 0;
    v_new bigint;
begin
    for v_change in
        select s.*
        from public.subprocessors as s
        where s.announced_at is null and s.effective_from > current_date
        order by s.effective_from, s.key
        for update
    loop
        insert into private.notifications (
            organization_id, kind, dedupe_key, recipient, subject, body
        )
        select
            n.organization_id,
            'subprocessor',
            pg_catalog.format('subprocessor %s/%s', v_change.key, v_change.version),
            n.email,
            pg_catalog.format('Sub-processor change on %s', v_change.effective_from),
            pg_catalog.format(
                'From %s, %s will process data for us. Purpose: %s. Location: %s. %s',
                v_change.effective_from, v_change.name, v_change.purpose, v_change.location,
                coalesce(v_change.url, '')
            )
        from public.subprocessor_subscriptions as n
        inner join public.organizations as o on n.organization_id = o.id
        where o.status in ('active', 'closing')
        on conflict (dedupe_key, recipient) do nothing;
        get diagnostics v_new = row_count;
        v_count := v_count + v_new;
        update public.subprocessors
        set announced_at = pg_catalog.now()
        where key = v_change.key and version = v_change.version;
    end loop;
    return v_count;
end;
$$;
comment on function private.announce_subprocessors() is
'Tells the subscribers of every change that is still ahead and not announced. Safe to repeat.';

insert into public.permissions (key, description, writes, step_up) values
('subprocessors.subscribe', 'Choose who is told before a sub-processor changes', true, false);
insert into public.builtin_role_permissions (role, permission) values
('owner', 'subprocessors.subscribe'),
('admin', 'subprocessors.subscribe');

-- Health ------------------------------------------------------------------------------------
create function private.health()
returns jsonb
language plpgsql
stable
-- Looks at the history of migrations and at private tables; says only yes or no about them.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unsealed boolean;
    v_overdue boolean;
    v_stuck boolean;
begin
    v_unsealed := audit.unsealed_before(pg_catalog.now() - interval '2 days');
    v_overdue := exists (
        select 1
        from private.closures as c
        where
            c.purged_at is null
            and c.purge_after < pg_catalog.now() - interval '2 days'
            and not exists (
                select 1
                from private.legal_holds as h
                where h.organization_id = c.organization_id and h.released_at is null
            )
    );
    v_stuck := exists (
        select 1
        from private.notifications as n
        where n.status = 'failed' or (
            n.status = 'pending' and n.created_at < pg_catalog.now() - interval '1 hour'
        )
    );
    return pg_catalog.jsonb_build_object(
        'status',
        case
            when v_overdue or v_stuck or v_unsealed then 'degraded'
            else 'ok'
        end,
        'time', pg_catalog.now(),
        'audit_sealed', not v_unsealed,
        'retention_on_time', not v_overdue,
        'notifications_moving', not v_stuck
    );
end;
$$;
comment on function private.health() is 'Whether the duties that run by themselves are being done.';
grant execute on function private.health() to anon, authenticated, service_role;

create function public.health()
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select private.health()
$$;
comment on function public.health() is
'For monitors: ok or degraded, and which duty is late. Reveals nothing about any organization.';
grant execute on function public.health() to anon, authenticated, service_role;

-- Last of all: every tenant table there is by now.
call private.guard_tenant_tables();
