set local lock_timeout = '4s';

-- Who did what. Statements append events; at commit, one link per statement and organization
-- joins them to the organization's hash chain over their digests. So a chain is locked only while
-- a transaction commits, and no event is ever rewritten.
create schema audit;
comment on schema audit is 'Append-only record of sensitive acts. Nobody updates or deletes in it.';
-- The view in `public` runs as the caller, who must be able to name what it reads.
grant usage on schema audit to authenticated;

create function audit.tg_refuse()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.fail(
        403,
        'audit.append_only',
        pg_catalog.format('%s on %I.%I is refused', tg_op, tg_table_schema, tg_table_name),
        'the audit record only grows; to erase personal data use: harmonia audit erase-payload'
    );
    return null;
end;
$$;
comment on function audit.tg_refuse() is 'Refuses to change what is recorded.';

-- Events ------------------------------------------------------------------------------------
create sequence audit.statements as bigint cache 1;
comment on sequence audit.statements is 'Numbers the statements that append events.';

-- No foreign keys: the record outlives what it speaks about. No CHECK constraints either: a server
-- parses each of them again for every statement, which made a fifth of what an event costs, and
-- nobody but the functions below can write here; `harmonia audit verify` recomputes all of it.
create table audit.events (
    organization_id uuid not null,
    at timestamptz not null default now(),
    statement bigint not null,
    position bigint not null,
    total bigint not null,
    actor_id uuid,
    actor_kind text not null,
    -- The digest joins its fields with this character.
    db_user text not null default translate(session_user, e'\x1f', ''),
    session_id uuid,
    aal text,
    support_grant_id uuid,
    api_key_id uuid,
    request_id text,
    action text not null,
    table_name text,
    record_key text,
    salt uuid,
    payload jsonb,
    payload_digest bytea not null,
    constraint events_pkey primary key (organization_id, at, statement, position)
) partition by range (at);
comment on table audit.events is
'One sensitive act each. The all-zero organization holds the acts of the platform itself.';
comment on column audit.events.total is
'How many events its statement appended for the organization; position counts them.';
comment on column audit.events.db_user is 'The database login; unlike the claims, not forgeable.';
comment on column audit.events.salt is
'Keeps an erased payload from being guessed from its digest; erased with it.';
comment on column audit.events.payload is
'What changed, without secrets. Null once erased, or when there is nothing to tell.';
comment on column audit.events.payload_digest is 'SHA-256 of the salt and the payload as text.';
call private.lock_down('audit.events');

create table audit.events_default partition of audit.events default;
comment on table audit.events_default is 'Catches what no monthly partition covers yet.';
call private.lock_down('audit.events_default');

create procedure audit.guard_partition(p_name text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Row triggers come from the parent, statement triggers do not: without one of its own a
    -- partition could be emptied by its name.
    execute pg_catalog.format(
        'create trigger tg_events__refuse_truncate before truncate on audit.%I '
        'for each statement execute function audit.tg_refuse()',
        p_name
    );
    execute pg_catalog.format(
        'alter table audit.%I enable always trigger tg_events__refuse_truncate', p_name
    );
end;
$$;
comment on procedure audit.guard_partition (text) is 'Refuses to empty one partition of events.';
call audit.guard_partition('events_default');

create procedure audit.ensure_partitions(p_months integer default 3)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_from timestamptz := pg_catalog.date_trunc('month', pg_catalog.now(), 'UTC');
    v_to timestamptz;
    v_name text;
begin
    for v_step in 0..p_months loop
        v_to := v_from + interval '1 month';
        v_name := 'events_' || pg_catalog.to_char(v_from at time zone 'UTC', 'YYYYMM');
        -- Rows that already fell into the default partition would make this fail; they stay there.
        if pg_catalog.to_regclass('audit.' || v_name) is null
            and not exists (
                select 1
                from audit.events_default as d
                where d.at >= v_from and d.at < v_to
            )
        then
            execute pg_catalog.format(
                'create table audit.%I partition of audit.events for values from (%L) to (%L)',
                v_name, v_from, v_to
            );
            execute pg_catalog.format(
                'comment on table audit.%I is %L', v_name, 'The events of one month (UTC).'
            );
            execute pg_catalog.format('call private.lock_down(%L)', 'audit.' || v_name);
            call audit.guard_partition(v_name);
        end if;
        v_from := v_to;
    end loop;
end;
$$;
comment on procedure audit.ensure_partitions (integer) is
'Creates the monthly partitions up to so many months ahead. Safe to repeat.';
call audit.ensure_partitions();

-- The chain ---------------------------------------------------------------------------------
create table audit.links (
    organization_id uuid not null,
    seq bigint not null,
    at timestamptz not null,
    statement bigint not null,
    first_event bigint not null,
    events bigint not null,
    digests bytea not null,
    prev_hash bytea not null,
    hash bytea not null,
    constraint links_pkey primary key (organization_id, seq)
);
comment on table audit.links is
'The chain of an organization: one link per statement that appended events, over their digests.';
comment on column audit.links.first_event is
'The number of its first event; an event''s number is its place in the organization''s history.';
-- Slices of it are read when a chain is verified: uncompressed, a slice is cheap.
alter table audit.links alter column digests set storage external;
-- What is old and not sealed is looked up by time; small, because links come in its order.
create index links_at_idx on audit.links using brin (at) with (pages_per_range = 32);
call private.lock_down('audit.links');

create table audit.seals (
    number bigint not null,
    sealed_at timestamptz not null,
    key_id text not null,
    heads bigint not null,
    heads_digest bytea not null,
    prev_digest bytea not null,
    digest bytea not null,
    signature bytea not null,
    constraint seals_pkey primary key (number),
    constraint seals_signature_check check (octet_length(signature) = 64)
);
comment on table audit.seals is
'Signatures over the ends of all chains that moved, by a key that is not in the database.';
call private.lock_down('audit.seals');

create table audit.sealed_heads (
    seal bigint not null,
    organization_id uuid not null,
    seq bigint not null,
    events bigint not null,
    hash bytea not null,
    constraint sealed_heads_pkey primary key (organization_id, seal),
    constraint sealed_heads_seal_fkey
    foreign key (seal) references audit.seals (number) on delete restrict
);
comment on table audit.sealed_heads is 'The end of a chain as it was when it was sealed.';
create index sealed_heads_seal_idx on audit.sealed_heads (seal);
call private.lock_down('audit.sealed_heads');

create function audit.event_digest(p_event audit.events)
returns bytea
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    -- The only free text that may hold the separator comes last.
    select pg_catalog.sha256(
        pg_catalog.convert_to(
            pg_catalog.concat_ws(
                e'\x1f',
                'harmonia.audit.event.v1',
                p_event.organization_id,
                (extract(epoch from p_event.at) * 1000000)::bigint,
                p_event.statement,
                p_event.position,
                p_event.total,
                coalesce(p_event.actor_id::text, ''),
                p_event.actor_kind,
                p_event.db_user,
                coalesce(p_event.session_id::text, ''),
                coalesce(p_event.aal, ''),
                coalesce(p_event.support_grant_id::text, ''),
                coalesce(p_event.api_key_id::text, ''),
                coalesce(p_event.request_id, ''),
                p_event.action,
                coalesce(p_event.table_name, ''),
                pg_catalog.encode(p_event.payload_digest, 'hex'),
                coalesce(p_event.record_key, '')
            ),
            'UTF8'
        )
    )
$$;
comment on function audit.event_digest(audit.events) is
'SHA-256 over everything an event says, its payload by its digest only.';

create function audit.payload_digest(p_salt uuid, p_payload jsonb)
returns bytea
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select pg_catalog.sha256(
        pg_catalog.uuid_send(p_salt)
        || pg_catalog.convert_to(coalesce(p_payload::text, ''), 'UTF8')
    )
$$;
comment on function audit.payload_digest(uuid, jsonb) is
'SHA-256 of the salt and the payload; the chain holds this, so a payload can be erased.';

create function audit.tg_events__link()
returns trigger
language plpgsql
-- Nobody who causes an event may write the chain.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_digests bytea;
begin
    -- Links of one organization queue up here, until the commit that is under way is over.
    if pg_catalog.pg_advisory_xact_lock(
        pg_catalog.hashtextextended(new.organization_id::text, 4861)
    ) is null then
        return null;
    end if;
    -- The same expression as in audit.event_digest(), which cannot be inlined; a test compares.
    if new.total = 1 then
        v_digests := pg_catalog.sha256(
            pg_catalog.convert_to(
                pg_catalog.concat_ws(
                    e'\x1f',
                    'harmonia.audit.event.v1',
                    new.organization_id,
                    (extract(epoch from new.at) * 1000000)::bigint,
                    new.statement,
                    new.position,
                    new.total,
                    coalesce(new.actor_id::text, ''),
                    new.actor_kind,
                    new.db_user,
                    coalesce(new.session_id::text, ''),
                    coalesce(new.aal, ''),
                    coalesce(new.support_grant_id::text, ''),
                    coalesce(new.api_key_id::text, ''),
                    coalesce(new.request_id, ''),
                    new.action,
                    coalesce(new.table_name, ''),
                    pg_catalog.encode(new.payload_digest, 'hex'),
                    coalesce(new.record_key, '')
                ),
                'UTF8'
            )
        );
    else
        select pg_catalog.string_agg(
            pg_catalog.sha256(
                pg_catalog.convert_to(
                    pg_catalog.concat_ws(
                        e'\x1f',
                        'harmonia.audit.event.v1',
                        e.organization_id,
                        (extract(epoch from e.at) * 1000000)::bigint,
                        e.statement,
                        e.position,
                        e.total,
                        coalesce(e.actor_id::text, ''),
                        e.actor_kind,
                        e.db_user,
                        coalesce(e.session_id::text, ''),
                        coalesce(e.aal, ''),
                        coalesce(e.support_grant_id::text, ''),
                        coalesce(e.api_key_id::text, ''),
                        coalesce(e.request_id, ''),
                        e.action,
                        coalesce(e.table_name, ''),
                        pg_catalog.encode(e.payload_digest, 'hex'),
                        coalesce(e.record_key, '')
                    ),
                    'UTF8'
                )
            ),
            ''::bytea
            order by e.position
        )
        into v_digests
        from audit.events as e
        where
            e.organization_id = new.organization_id
            and e.at = new.at
            and e.statement = new.statement;
    end if;
    -- A new statement, so it sees what the one who held the lock has committed.
    insert into audit.links (
        organization_id, seq, at, statement, first_event, events, digests, prev_hash, hash
    )
    select
        new.organization_id, h.seq, new.at, new.statement, h.first_event, new.total, v_digests,
        h.hash,
        pg_catalog.sha256(
            pg_catalog.convert_to(
                pg_catalog.concat_ws(
                    e'\x1f',
                    'harmonia.audit.link.v1',
                    new.organization_id,
                    h.seq,
                    (extract(epoch from new.at) * 1000000)::bigint,
                    new.statement,
                    h.first_event,
                    new.total,
                    pg_catalog.encode(h.hash, 'hex'),
                    pg_catalog.encode(pg_catalog.sha256(v_digests), 'hex')
                ),
                'UTF8'
            )
        )
    from (
        (
            select l.seq + 1 as seq, l.first_event + l.events as first_event, l.hash
            from audit.links as l
            where l.organization_id = new.organization_id
            order by l.seq desc
            limit 1
        )
        union all
        select 1, 1, pg_catalog.sha256(pg_catalog.uuid_send(new.organization_id))
        limit 1
    ) as h;
    return null;
end;
$$;
comment on function audit.tg_events__link() is
'Joins the events of the transaction that commits to the chain of their organization.';

create constraint trigger tg_events__link
after insert on audit.events
deferrable initially deferred
for each row
when (new.position = 1)
execute function audit.tg_events__link();

create function audit.unsealed_before(p_moment timestamptz)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    -- A seal covers every chain that moved: what is older than the last one is sealed.
    v_sealed constant timestamptz := coalesce(
        (select s.sealed_at from audit.seals as s order by s.number desc limit 1), '-infinity'
    );
begin
    -- Cheap, because monitors ask for it without a key.
    return v_sealed < p_moment and exists (
        select 1
        from audit.links as l
        where l.at > v_sealed and l.at < p_moment
    );
end;
$$;
comment on function audit.unsealed_before(timestamptz) is
'Whether there are events from before that moment which the last seal does not cover.';

-- Append-only, for everybody --------------------------------------------------------------
create function audit.tg_events__erase_only()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- The one change there is: a payload and its salt go, and everything else stays.
    if new.payload is null and new.salt is null and old.salt is not null
        and audit.event_digest(new) = audit.event_digest(old)
    then
        return new;
    end if;
    perform private.fail(
        403,
        'audit.append_only',
        'an event cannot be changed',
        'to erase personal data use: harmonia audit erase-payload'
    );
    return null;
end;
$$;
comment on function audit.tg_events__erase_only() is
'Lets a payload be erased and refuses every other change.';

create trigger tg_events__erase_only
before update on audit.events
for each row
execute function audit.tg_events__erase_only();

create trigger tg_events__refuse_delete
before delete on audit.events
for each row
execute function audit.tg_refuse();

create trigger tg_events__refuse_truncate
before truncate on audit.events
for each statement
execute function audit.tg_refuse();

create trigger tg_links__refuse_change
before update or delete on audit.links
for each row
execute function audit.tg_refuse();

create trigger tg_links__refuse_truncate
before truncate on audit.links
for each statement
execute function audit.tg_refuse();

create trigger tg_seals__refuse_change
before update or delete on audit.seals
for each row
execute function audit.tg_refuse();

create trigger tg_seals__refuse_truncate
before truncate on audit.seals
for each statement
execute function audit.tg_refuse();

create trigger tg_sealed_heads__refuse_change
before update or delete on audit.sealed_heads
for each row
execute function audit.tg_refuse();

create trigger tg_sealed_heads__refuse_truncate
before truncate on audit.sealed_heads
for each statement
execute function audit.tg_refuse();

-- A session that calls itself a replica would otherwise skip them.
alter table audit.events enable always trigger tg_events__link;
alter table audit.events enable always trigger tg_events__erase_only;
alter table audit.events enable always trigger tg_events__refuse_delete;
alter table audit.events enable always trigger tg_events__refuse_truncate;
alter table audit.links enable always trigger tg_links__refuse_change;
alter table audit.links enable always trigger tg_links__refuse_truncate;
alter table audit.seals enable always trigger tg_seals__refuse_change;
alter table audit.seals enable always trigger tg_seals__refuse_truncate;
alter table audit.sealed_heads enable always trigger tg_sealed_heads__refuse_change;
alter table audit.sealed_heads enable always trigger tg_sealed_heads__refuse_truncate;

-- Appending ---------------------------------------------------------------------------------
create type audit.actor as (
    id uuid,
    kind text,
    session_id uuid,
    aal text,
    api_key_id uuid,
    request_id text
);
comment on type audit.actor is 'Who acts in this request.';

create function audit.current_actor()
returns audit.actor
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_uuid constant text := '^[0-9a-fA-F-]{36}$';
    v_claims constant jsonb := auth.jwt();
    v_actor audit.actor;
begin
    if v_claims is null then
        v_actor.kind := 'database';
        return v_actor;
    end if;
    -- An odd claim must not keep an act from being recorded.
    v_actor.id := case when v_claims ->> 'sub' ~ v_uuid then (v_claims ->> 'sub')::uuid end;
    v_actor.session_id := case
        when v_claims ->> 'session_id' ~ v_uuid then (v_claims ->> 'session_id')::uuid
    end;
    v_actor.api_key_id := case
        when v_claims ->> 'api_key_id' ~ v_uuid then (v_claims ->> 'api_key_id')::uuid
    end;
    v_actor.aal := pg_catalog.left(pg_catalog.translate(v_claims ->> 'aal', e'\x1f', ''), 10);
    v_actor.request_id := pg_catalog.left(
        pg_catalog.translate(
            nullif(pg_catalog.current_setting('request.headers', true), '')::jsonb
            ->> 'x-request-id',
            e'\x1f',
            ''
        ),
        100
    );
    v_actor.kind := case
        when v_actor.id is not null and v_claims ->> 'is_anonymous' = 'true' then 'anonymous'
        when v_actor.id is not null then 'user'
        when v_actor.api_key_id is not null then 'api_key'
        when v_claims ->> 'role' = 'service_role' then 'service'
        when v_claims ->> 'role' = 'anon' then 'anonymous'
        else 'database'
    end;
    return v_actor;
end;
$$;
comment on function audit.current_actor() is
'Reads who is asking from the claims of the request; without claims it is a database session.';

create function audit.live_grant(p_actor audit.actor, p_organization_id uuid)
returns uuid
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select g.id
    from private.support_grants as g
    where
        -- Grants count only with a second factor.
        p_actor.aal = 'aal2'
        and g.agent_id = p_actor.id
        and g.organization_id = p_organization_id
        and g.revoked_at is null
        and pg_catalog.clock_timestamp() between g.starts_at and g.expires_at
        -- A member is in by the membership, whatever else there is.
        and not exists (
            select 1
            from public.memberships as m
            where m.organization_id = g.organization_id and m.user_id = g.agent_id
        )
    order by g.starts_at desc
    limit 1
$$;
comment on function audit.live_grant(audit.actor, uuid) is
'The support grant under which the actor is in an organization, if that is why.';

create function private.audit_record(
    p_organization_id uuid,
    p_action text,
    p_payload jsonb default null,
    p_table_name text default null,
    p_record_key text default null
)
returns void
language plpgsql
volatile
-- Nobody may insert events directly.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_actor constant audit.actor := audit.current_actor();
    v_grant constant uuid := audit.live_grant(v_actor, p_organization_id);
    v_salt constant uuid := pg_catalog.gen_random_uuid();
begin
    insert into audit.events (
        organization_id, statement, position, total, actor_id, actor_kind, session_id, aal,
        support_grant_id, api_key_id, request_id, action, table_name, record_key, salt, payload,
        payload_digest
    )
    values (
        coalesce(p_organization_id, '00000000-0000-0000-0000-000000000000'),
        pg_catalog.nextval('audit.statements'), 1, 1, v_actor.id,
        case when v_grant is null then v_actor.kind else 'support' end,
        v_actor.session_id, v_actor.aal, v_grant, v_actor.api_key_id, v_actor.request_id,
        p_action, p_table_name, p_record_key, v_salt, p_payload,
        audit.payload_digest(v_salt, p_payload)
    );
end;
$$;
comment on function private.audit_record(uuid, text, jsonb, text, text) is
'Appends one event. For definer functions; a null organization means the platform itself.';

create function audit.key_of(p_row jsonb, p_keys text[])
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select pg_catalog.string_agg(p_row ->> k.name, '/' order by k.place)
    from pg_catalog.unnest(p_keys) with ordinality as k (name, place)
$$;
comment on function audit.key_of(jsonb, text[]) is 'The key of a row without its organization.';

create function audit.difference(p_old jsonb, p_new jsonb)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select pg_catalog.jsonb_build_object(
        'old',
        (
            select pg_catalog.jsonb_object_agg(f.name, f.value)
            from pg_catalog.jsonb_each(p_old) as f (name, value)
            where f.value is distinct from p_new -> f.name
        ),
        'new',
        (
            select pg_catalog.jsonb_object_agg(f.name, f.value)
            from pg_catalog.jsonb_each(p_new) as f (name, value)
            where f.value is distinct from p_old -> f.name
        )
    )
$$;
comment on function audit.difference(jsonb, jsonb) is 'The columns that changed, before and after.';

create function audit.tg_capture()
returns trigger
language plpgsql
-- Nobody may insert events directly.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_tenant constant text := tg_argv[0];
    v_keys constant text[] := tg_argv[1]::text[];
    v_redacted constant text[] := tg_argv[2]::text[];
    v_ignored constant text[] := tg_argv[3]::text[];
    v_table constant text := tg_table_schema || '.' || tg_table_name;
    v_action constant text := pg_catalog.lower(tg_op);
    v_key constant text := v_keys[1];
    v_single_key constant boolean := v_keys[2] is null;
    v_actor audit.actor;
    v_support boolean := false;
    v_statement bigint;
    v_old jsonb[];
    v_new jsonb[];
    v_organization_id uuid;
    v_grant uuid;
    v_salt uuid;
    v_payload jsonb;
begin
    -- Two rows tell "none", "one" and "more" apart. Nested: an expression that names a transition
    -- table must not even be parsed where there is none.
    if tg_op <> 'INSERT' then
        v_old := array(select pg_catalog.to_jsonb(o) from old_rows as o limit 2);
    end if;
    if tg_op <> 'DELETE' then
        v_new := array(select pg_catalog.to_jsonb(n) from new_rows as n limit 2);
    end if;
    if coalesce(v_old[1], v_new[1]) is null then
        return null;
    end if;
    v_actor := audit.current_actor();
    -- Looked up per row only for somebody who may be here on a grant. Not one expression: with a
    -- query inside it would be run as a statement, whoever asks.
    if v_actor.aal = 'aal2' and v_actor.id is not null then
        v_support := exists (
            select 1 from private.support_grants as g where g.agent_id = v_actor.id
        );
    end if;
    if v_old[2] is null and v_new[2] is null then
        -- One row: what nearly every request of a client is, without the machinery for many.
        v_organization_id := coalesce(v_new[1] ->> v_tenant, v_old[1] ->> v_tenant)::uuid;
        if v_organization_id is null then
            return null;
        end if;
        if tg_op = 'INSERT' then
            v_payload := pg_catalog.jsonb_build_object('new', v_new[1] - v_redacted);
        elsif tg_op = 'DELETE' then
            -- What a purge deletes must not live on as a copy here: it records its own counts.
            if private.is_being_purged(v_organization_id) then
                return null;
            end if;
            v_payload := pg_catalog.jsonb_build_object('old', v_old[1] - v_redacted);
        elsif v_old[1] - v_ignored is not distinct from v_new[1] - v_ignored then
            -- A change of nothing but bookkeeping is not an act.
            return null;
        else
            v_payload := audit.difference(v_old[1] - v_redacted, v_new[1] - v_redacted);
        end if;
        if v_support then
            v_grant := audit.live_grant(v_actor, v_organization_id);
        end if;
        v_salt := pg_catalog.gen_random_uuid();
        insert into audit.events (
            organization_id, statement, position, total, actor_id, actor_kind, session_id, aal,
            support_grant_id, api_key_id, request_id, action, table_name, record_key, salt,
            payload, payload_digest
        )
        values (
            v_organization_id, pg_catalog.nextval('audit.statements'), 1, 1, v_actor.id,
            case when v_grant is null then v_actor.kind else 'support' end, v_actor.session_id,
            v_actor.aal, v_grant, v_actor.api_key_id, v_actor.request_id, v_action, v_table,
            case
                when v_single_key then coalesce(v_new[1], v_old[1]) ->> v_key
                else audit.key_of(coalesce(v_new[1], v_old[1]), v_keys)
            end,
            v_salt, v_payload,
            pg_catalog.sha256(
                pg_catalog.uuid_send(v_salt) || pg_catalog.convert_to(v_payload::text, 'UTF8')
            )
        );
        return null;
    end if;
    v_statement := pg_catalog.nextval('audit.statements');
    if tg_op = 'INSERT' then
        insert into audit.events (
            organization_id, statement, position, total, actor_id, actor_kind, session_id, aal,
            support_grant_id, api_key_id, request_id, action, table_name, record_key, salt,
            payload, payload_digest
        )
        select
            r.organization_id, v_statement, r.position, r.total, v_actor.id,
            case when r.support_grant_id is null then v_actor.kind else 'support' end,
            v_actor.session_id, v_actor.aal, r.support_grant_id, v_actor.api_key_id,
            v_actor.request_id, v_action, v_table, r.record_key, r.salt, r.payload,
            pg_catalog.sha256(
                pg_catalog.uuid_send(r.salt) || pg_catalog.convert_to(r.payload::text, 'UTF8')
            )
        from (
            select
                d.organization_id,
                pg_catalog.row_number() over (partition by d.organization_id) as position,
                pg_catalog.count(*) over (partition by d.organization_id) as total,
                case
                    when v_support then audit.live_grant(v_actor, d.organization_id)
                end as support_grant_id,
                d.record_key,
                pg_catalog.gen_random_uuid() as salt,
                d.payload
            from (
                select
                    (c.image ->> v_tenant)::uuid as organization_id,
                    case
                        when v_single_key then c.image ->> v_key
                        else audit.key_of(c.image, v_keys)
                    end as record_key,
                    pg_catalog.jsonb_build_object('new', c.image - v_redacted) as payload
                from (select pg_catalog.to_jsonb(n) as image from new_rows as n) as c
                where c.image ->> v_tenant is not null
            ) as d
        ) as r
        order by r.organization_id, r.position;
    elsif tg_op = 'DELETE' then
        insert into audit.events (
            organization_id, statement, position, total, actor_id, actor_kind, session_id, aal,
            support_grant_id, api_key_id, request_id, action, table_name, record_key, salt,
            payload, payload_digest
        )
        select
            r.organization_id, v_statement, r.position, r.total, v_actor.id,
            case when r.support_grant_id is null then v_actor.kind else 'support' end,
            v_actor.session_id, v_actor.aal, r.support_grant_id, v_actor.api_key_id,
            v_actor.request_id, v_action, v_table, r.record_key, r.salt, r.payload,
            pg_catalog.sha256(
                pg_catalog.uuid_send(r.salt) || pg_catalog.convert_to(r.payload::text, 'UTF8')
            )
        from (
            select
                d.organization_id,
                pg_catalog.row_number() over (partition by d.organization_id) as position,
                pg_catalog.count(*) over (partition by d.organization_id) as total,
                case
                    when v_support then audit.live_grant(v_actor, d.organization_id)
                end as support_grant_id,
                d.record_key,
                pg_catalog.gen_random_uuid() as salt,
                d.payload
            from (
                select
                    (c.image ->> v_tenant)::uuid as organization_id,
                    case
                        when v_single_key then c.image ->> v_key
                        else audit.key_of(c.image, v_keys)
                    end as record_key,
                    pg_catalog.jsonb_build_object('old', c.image - v_redacted) as payload
                from (select pg_catalog.to_jsonb(o) as image from old_rows as o) as c
                where
                    c.image ->> v_tenant is not null
                    and not private.is_being_purged((c.image ->> v_tenant)::uuid)
            ) as d
        ) as r
        order by r.organization_id, r.position;
    else
        insert into audit.events (
            organization_id, statement, position, total, actor_id, actor_kind, session_id, aal,
            support_grant_id, api_key_id, request_id, action, table_name, record_key, salt,
            payload, payload_digest
        )
        select
            r.organization_id, v_statement, r.position, r.total, v_actor.id,
            case when r.support_grant_id is null then v_actor.kind else 'support' end,
            v_actor.session_id, v_actor.aal, r.support_grant_id, v_actor.api_key_id,
            v_actor.request_id, v_action, v_table, r.record_key, r.salt, r.payload,
            pg_catalog.sha256(
                pg_catalog.uuid_send(r.salt) || pg_catalog.convert_to(r.payload::text, 'UTF8')
            )
        from (
            select
                d.organization_id,
                pg_catalog.row_number() over (partition by d.organization_id) as position,
                pg_catalog.count(*) over (partition by d.organization_id) as total,
                case
                    when v_support then audit.live_grant(v_actor, d.organization_id)
                end as support_grant_id,
                d.record_key,
                pg_catalog.gen_random_uuid() as salt,
                d.payload
            from (
                select
                    coalesce(n.image ->> v_tenant, o.image ->> v_tenant)::uuid as organization_id,
                    coalesce(n.key, o.key) as record_key,
                    audit.difference(o.image - v_redacted, n.image - v_redacted) as payload
                from (
                    select
                        pg_catalog.to_jsonb(t) as image,
                        pg_catalog.to_jsonb(t) ->> v_tenant as tenant,
                        audit.key_of(pg_catalog.to_jsonb(t), v_keys) as key
                    from old_rows as t
                ) as o
                full join (
                    select
                        pg_catalog.to_jsonb(t) as image,
                        pg_catalog.to_jsonb(t) ->> v_tenant as tenant,
                        audit.key_of(pg_catalog.to_jsonb(t), v_keys) as key
                    from new_rows as t
                ) as n
                    on
                        o.key = n.key
                        -- The tenant column of some tables is not part of the key.
                        and (o.tenant = n.tenant or v_tenant <> 'organization_id')
                where
                    o.image - v_ignored is distinct from n.image - v_ignored
                    and coalesce(n.image ->> v_tenant, o.image ->> v_tenant) is not null
            ) as d
        ) as r
        order by r.organization_id, r.position;
    end if;
    return null;
end;
$$;
comment on function audit.tg_capture() is
'Appends an event per changed row. Arguments: tenant column, key columns, redacted, ignored.';

create function audit.tg_capture_truncate()
returns trigger
language plpgsql
-- Nobody may insert events directly.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.audit_record(
        null, 'truncate', null, tg_table_schema || '.' || tg_table_name, null
    );
    return null;
end;
$$;
comment on function audit.tg_capture_truncate() is
'Records, with the platform''s acts, that a whole table was emptied.';

create procedure private.audit_table(
    p_table regclass,
    p_operations text[] default array['insert', 'update', 'delete'],
    p_tenant_column text default 'organization_id',
    p_redacted text[] default '{}'
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name text;
    v_schema text;
    v_keys text[];
    v_redacted text[];
    v_operation text;
    v_transition text;
begin
    select c.relname, n.nspname
    into v_name, v_schema
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
    where c.oid = p_table;
    select pg_catalog.array_agg(a.attname::text order by k.place)
    into v_keys
    from pg_catalog.pg_constraint as pk
    cross join lateral pg_catalog.unnest(pk.conkey) with ordinality as k (attnum, place)
    inner join pg_catalog.pg_attribute as a on a.attrelid = pk.conrelid and a.attnum = k.attnum
    where
        pk.conrelid = p_table
        and pk.contype = 'p'
        and (a.attname <> p_tenant_column or pg_catalog.cardinality(pk.conkey) = 1);
    if v_keys is null then
        perform private.fail(
            500, 'audit.no_key', pg_catalog.format('%s has no primary key', p_table),
            'give the table a primary key before auditing it'
        );
    end if;
    -- Binary columns hold keys, hashes and ciphertext: never copied into the record.
    select p_redacted || coalesce(pg_catalog.array_agg(a.attname::text), '{}')
    into v_redacted
    from pg_catalog.pg_attribute as a
    where
        a.attrelid = p_table
        and a.attnum > 0
        and not a.attisdropped
        and a.atttypid = 'pg_catalog.bytea'::regtype;
    foreach v_operation in array p_operations || array['truncate'] loop
        execute pg_catalog.format(
            'drop trigger if exists %I on %s', 'tg_' || v_name || '__audit_' || v_operation, p_table
        );
        if v_operation = 'truncate' then
            execute pg_catalog.format(
                'create trigger %I after truncate on %s for each statement '
                'execute function audit.tg_capture_truncate()',
                'tg_' || v_name || '__audit_truncate', p_table
            );
        else
            v_transition := case v_operation
                when 'insert' then 'new table as new_rows'
                when 'delete' then 'old table as old_rows'
                else 'old table as old_rows new table as new_rows'
            end;
            execute pg_catalog.format(
                'create trigger %I after %s on %s referencing %s for each statement '
                'execute function audit.tg_capture(%L, %L, %L, %L)',
                'tg_' || v_name || '__audit_' || v_operation, v_operation, p_table,
                v_transition, p_tenant_column, v_keys, v_redacted,
                array['created_at', 'updated_at', 'last_used_at', 'last_seen_at']
            );
        end if;
        execute pg_catalog.format(
            'alter table %s enable always trigger %I',
            p_table, 'tg_' || v_name || '__audit_' || v_operation
        );
    end loop;
end;
$$;
comment on procedure private.audit_table is
'Records the named operations on a table from now on. Binary columns are always left out.';

-- Erasing personal data ---------------------------------------------------------------------
create function audit.erase_payload(p_organization_id uuid, p_number bigint, p_reason text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_event audit.events;
begin
    -- It cannot be taken back, and the reason is all that is left to read.
    if p_reason is null or pg_catalog.char_length(pg_catalog.btrim(p_reason)) not between 3 and 2000
    then
        perform private.fail(
            400, 'audit.reason', 'the reason has 3 to 2000 characters', 'say who asked for it'
        );
    end if;
    select e.*
    into v_event
    from audit.links as l
    inner join audit.events as e
        on
            l.organization_id = e.organization_id
            and l.at = e.at
            and l.statement = e.statement
            and e.position = p_number - l.first_event + 1
    where
        l.organization_id = p_organization_id
        and l.first_event <= p_number
        and p_number < l.first_event + l.events;
    if v_event.organization_id is null then
        perform private.fail(
            404,
            'audit.unknown_event',
            pg_catalog.format('there is no event %s', p_number),
            'list the events with: harmonia audit tail'
        );
    end if;
    if v_event.salt is null then
        perform private.fail(
            409, 'audit.already_erased', 'the payload of this event is already erased', null
        );
    end if;
    -- Erasing is deleting: a legal hold keeps payloads too.
    perform private.assert_deletable(p_organization_id);
    update audit.events as e
    set payload = null, salt = null
    where
        e.organization_id = v_event.organization_id
        and e.at = v_event.at
        and e.statement = v_event.statement
        and e.position = v_event.position;
    -- Verification accepts an erased payload only beside this.
    perform private.audit_record(
        p_organization_id, 'payload.erased', pg_catalog.jsonb_build_object('reason', p_reason),
        'audit.events', p_number::text
    );
end;
$$;
comment on function audit.erase_payload(uuid, bigint, text) is
'Erases the payload of one event by its number; the chain holds, and the erasure is an event.';

-- Reading -----------------------------------------------------------------------------------
create view public.audit_events
with (security_invoker = true) as
select
    e.organization_id,
    e.at,
    e.statement,
    e.position,
    e.actor_id,
    e.actor_kind,
    e.session_id,
    e.aal,
    e.support_grant_id,
    e.api_key_id,
    e.request_id,
    e.action,
    e.table_name,
    e.record_key,
    e.payload
from audit.events as e;
comment on view public.audit_events is
'What was done in the organization, for those who hold audit.read. Order by at, statement.';

-- It has no rows of its own to protect: the policy of what it reads applies to the caller.
revoke all on table public.audit_events from public, anon, authenticated, service_role;
grant select on table public.audit_events to authenticated;

-- What a purge is busy with; the lifecycle replaces this once it knows purges.
create function private.is_being_purged(p_organization_id uuid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select false and p_organization_id is null
$$;
comment on function private.is_being_purged(uuid) is
'Whether a purge of this organization is under way.';

insert into public.permissions (key, description, writes, step_up) values
('audit.read', 'Read who did what in the organization', false, false);
insert into public.builtin_role_permissions (role, permission) values
('owner', 'audit.read'),
('admin', 'audit.read');

-- What is recorded --------------------------------------------------------------------------
call private.audit_table('public.organizations', p_tenant_column => 'id');
call private.audit_table('public.roles');
call private.audit_table('public.role_permissions');
call private.audit_table('public.memberships');
call private.audit_table('public.teams');
call private.audit_table('public.team_members');
call private.audit_table('public.invitations');
call private.audit_table('public.api_keys');
call private.audit_table('public.api_key_permissions');
call private.audit_table('private.support_grants');
-- Opening an organization: the choice of the active one.
call private.audit_table(
    'public.user_settings', array['insert', 'update'], 'active_organization_id'
);
-- Of the customers' own data only what is destroyed; a copy of every edit would double it.
call private.audit_table('public.companies', p_operations => '{delete}');
call private.audit_table('public.contacts', p_operations => '{delete}');
call private.audit_table('public.pipelines', p_operations => '{delete}');
call private.audit_table('public.pipeline_stages', p_operations => '{delete}');
call private.audit_table('public.deals', p_operations => '{delete}');
call private.audit_table('public.activities', p_operations => '{delete}');
call private.audit_table('public.conversations', p_operations => '{delete}');
call private.audit_table('public.messages', p_operations => '{delete}');
call private.audit_table('public.call_transcripts', p_operations => '{delete}');
call private.audit_table('public.files', p_operations => '{delete}');
call private.audit_table('public.custom_field_definitions');
call private.audit_table('public.import_jobs');
call private.audit_table('public.export_jobs');
call private.audit_table('public.integrations');
call private.audit_table('public.secrets');
call private.audit_table('private.organization_keys', p_operations => '{insert,update}');
-- The snapshot is the copy of a person that lets a merge be undone; it stays where it is.
call private.audit_table('private.contact_merges', p_redacted => '{snapshot}');
call private.audit_table('public.webhook_endpoints');

-- Revealing a secret changes no row: its line in the access log is what is recorded.
create function private.tg_secret_access__audit()
returns trigger
language plpgsql
-- The vault may not append events.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.audit_record(
        new.organization_id,
        'secret.revealed',
        pg_catalog.jsonb_build_object(
            'name', new.name, 'version', new.version, 'actor', new.actor, 'user_id', new.user_id,
            'purpose', new.purpose, 'outcome', new.outcome
        ),
        'private.secret_access',
        new.id::text
    );
    return null;
end;
$$;
comment on function private.tg_secret_access__audit() is
'Puts every reveal of a secret, and every refusal of one, into the record that is chained.';

create trigger tg_secret_access__audit
after insert on private.secret_access
for each row
when (new.action = 'reveal')
execute function private.tg_secret_access__audit();
alter table private.secret_access enable always trigger tg_secret_access__audit;
