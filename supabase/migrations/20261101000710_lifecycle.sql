set local lock_timeout = '4s';

-- What belongs to a tenant, from the catalog -------------------------------------------------
create function private.outliving_tables()
returns text[]
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    -- What stays after a purge, each for a reason; everything else with an organization_id goes.
    select array[
        -- evidence of who used which secret; holds no value
        'private.secret_access',
        -- the closure itself, its holds, its progress and its certificate
        'private.closures', 'private.legal_holds', 'private.purge_progress',
        'private.deletion_certificates',
        -- follows from memberships and goes with them, also under a hold
        'private.seats',
        -- how often rights were rated anew: says nothing
        'private.organization_turns',
        -- that an incident concerned the organization and that it was told
        'private.incident_organizations', 'private.notifications'
    ]
$$;
comment on function private.outliving_tables() is
'The tables with an organization_id that a purge leaves. A test holds every other to the purge.';

create function private.tenant_tables()
returns table (relation regclass, place integer, exported boolean)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_left oid[];
    v_next oid[];
    v_place integer := 0;
begin
    select pg_catalog.array_agg(c.oid)
    into v_left
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_attribute as a on c.oid = a.attrelid
    where
        c.relkind in ('r', 'p')
        and not c.relispartition
        and c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
        and a.attname = 'organization_id'
        and not a.attisdropped
        and a.atttypid = 'pg_catalog.uuid'::regtype
        and pg_catalog.format('%I.%I', c.relnamespace::regnamespace, c.relname)
        <> all(private.outliving_tables());
    -- Parents first: a table comes once everything it refers to has come.
    while pg_catalog.cardinality(v_left) > 0 loop
        select pg_catalog.array_agg(l.id order by l.id::regclass::text)
        into v_next
        from pg_catalog.unnest(v_left) as l (id)
        where not exists (
            select 1
            from pg_catalog.pg_constraint as f
            where
                f.contype = 'f'
                and f.conrelid = l.id
                and f.confrelid <> l.id
                and f.confrelid = any(v_left)
                -- What may be emptied does not have to come first.
                and f.confdeltype not in ('n', 'd')
        );
        if v_next is null then
            v_next := v_left;
        end if;
        return query
            select
                n.id::regclass,
                v_place,
                c.relnamespace = 'public'::regnamespace
            from pg_catalog.unnest(v_next) as n (id)
            inner join pg_catalog.pg_class as c on n.id = c.oid;
        v_left := array(
            select l.id
            from pg_catalog.unnest(v_left) as l (id)
            where l.id <> all(v_next)
        );
        v_place := v_place + 1;
    end loop;
end;
$$;
comment on function private.tenant_tables() is
'Every table that holds a tenant''s rows, parents before children. What export and purge follow.';

-- Legal holds -------------------------------------------------------------------------------
create table private.legal_holds (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    reason text not null,
    placed_by text not null,
    placed_at timestamptz not null default now(),
    released_by text,
    released_at timestamptz,
    release_reason text,
    constraint legal_holds_pkey primary key (organization_id, id),
    constraint legal_holds_reason_check check (char_length(reason) between 10 and 2000),
    constraint legal_holds_placed_by_check check (char_length(placed_by) between 1 and 200),
    constraint legal_holds_release_check check (
        (released_at is null) = (released_by is null)
        and (released_at is null) = (release_reason is null)
    )
);
comment on table private.legal_holds is
'While one is live nothing of the organization is deleted, whoever asks.';
create index legal_holds_live_idx on private.legal_holds (organization_id)
where released_at is null;
call private.lock_down('private.legal_holds');
call private.audit_table('private.legal_holds');

create function private.hold_lock()
returns integer
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select 486105
$$;
comment on function private.hold_lock() is
'The advisory lock that deletes share until they commit, and that placing a hold takes alone.';

-- A snapshot older than a hold does not show it. That holds were placed since, this row tells.
create table private.hold_turns (
    id boolean not null default true,
    turn bigint not null default 0,
    constraint hold_turns_pkey primary key (id),
    -- One row: the key can only be true.
    constraint hold_turns_id_check check (id)
);
comment on table private.hold_turns is
'How many holds were ever placed; written so that a delete by an older snapshot fails.';
call private.lock_down('private.hold_turns');
insert into private.hold_turns (id) values (true);

create function private.await_holds()
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Until the end of the transaction: a hold that is being placed waits for it.
    perform pg_catalog.pg_advisory_xact_lock_shared(private.hold_lock());
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
        -- 40001 where the row was written since, also where a restore without data had left none.
        insert into private.hold_turns (id) values (true)
        on conflict (id) do nothing;
        perform 1 from private.hold_turns as t for share;
    end if;
end;
$$;
comment on function private.await_holds() is
'Lets no hold be placed until the transaction ends, and the caller see all there are. Internal.';

create function private.place_hold(p_organization_id uuid, p_reason text, p_placed_by text)
returns uuid
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id uuid;
begin
    -- Waits for deletes under way: once a hold is placed, nothing is gone that it should keep.
    perform pg_catalog.pg_advisory_xact_lock(private.hold_lock());
    insert into private.hold_turns as t (id) values (true)
    on conflict (id) do update
    set turn = t.turn + 1;
    if not exists (
        select 1 from public.organizations as o
        where o.id = p_organization_id and o.status <> 'purged'
    ) then
        perform private.fail(
            404, 'organization.unknown', 'there is no organization to hold with this id', null
        );
    end if;
    insert into private.legal_holds as h (organization_id, reason, placed_by)
    values (p_organization_id, p_reason, p_placed_by)
    returning h.id into v_id;
    return v_id;
end;
$$;
comment on function private.place_hold(uuid, text, text) is 'Places a legal hold. For operators.';

create function private.release_hold(
    p_organization_id uuid, p_hold_id uuid, p_reason text, p_released_by text
)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update private.legal_holds as h
    set
        released_at = pg_catalog.now(),
        released_by = p_released_by,
        release_reason = p_reason
    where h.organization_id = p_organization_id and h.id = p_hold_id and h.released_at is null;
    if not found then
        perform private.fail(
            404, 'hold.unknown', 'there is no live hold with this id', 'list the holds'
        );
    end if;
end;
$$;
comment on function private.release_hold(uuid, uuid, text, text) is
'Releases a legal hold. For operators.';

create function private.assert_deletable(p_organization_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.await_holds();
    if exists (
        select 1
        from private.legal_holds as h
        where h.organization_id = p_organization_id and h.released_at is null
    ) then
        perform private.fail(
            409,
            'organization.on_hold',
            'a legal hold keeps the records of this organization',
            'nothing can be deleted until the hold is released'
        );
    end if;
end;
$$;
comment on function private.assert_deletable(uuid) is
'The one question before anything is deleted: is there a legal hold?';

create function private.held_org_ids()
returns setof uuid
language sql
stable
-- Holds are closed to clients; this tells whoever may change files of their organizations only.
security definer
set search_path = pg_catalog, pg_temp
rows 1
as $$
    select distinct h.organization_id
    from private.legal_holds as h
    where
        h.released_at is null
        and h.organization_id = any(
            array(
                select private.org_ids(
                    'files.delete', 'files.delete_team', 'files.delete_own',
                    'files.write', 'files.write_team', 'files.write_own'
                )
            )
        )
$$;
comment on function private.held_org_ids() is
'Those organizations on hold in which the caller may change files: for the policies of Storage.';
grant execute on function private.held_org_ids() to authenticated;

create function private.tg_keep_held()
returns trigger
language plpgsql
-- Holds are closed to those who delete.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_organization_id uuid;
begin
    perform private.await_holds();
    if not exists (select 1 from private.legal_holds as h where h.released_at is null) then
        return null;
    end if;
    -- Through jsonb, because the table differs from trigger to trigger.
    for v_organization_id in
        select distinct (pg_catalog.to_jsonb(o) ->> tg_argv[0])::uuid from old_rows as o
    loop
        perform private.assert_deletable(v_organization_id);
    end loop;
    return null;
end;
$$;
comment on function private.tg_keep_held() is
'Refuses a delete that takes rows of an organization on hold, cascades and owners included.';

create function private.tg_keep_held_truncate()
returns trigger
language plpgsql
-- Holds are closed to those who delete.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.await_holds();
    if exists (select 1 from private.legal_holds as h where h.released_at is null) then
        perform private.fail(
            409, 'organization.on_hold', 'a legal hold keeps the records of an organization', null
        );
    end if;
    return null;
end;
$$;
comment on function private.tg_keep_held_truncate() is
'Refuses to empty a table while any organization is on hold.';

-- Read-only while closing, for the one role that row level security does not bind -------------
create function private.tg_closing_read_only()
returns trigger
language plpgsql
-- service_role may read organizations, but let nothing depend on that.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'DELETE' then
        if exists (
            select 1
            from old_rows as r
            left join public.organizations as o
                on o.id = (pg_catalog.to_jsonb(r) ->> tg_argv[0])::uuid
            -- An organization that was just deleted itself is known from its old row alone.
            where coalesce(o.status, pg_catalog.to_jsonb(r) ->> 'status') <> 'active'
        ) then
            perform private.fail(
                409, 'organization.read_only', 'this organization is closing and cannot change',
                'an owner can reopen it'
            );
        end if;
    elsif exists (
        select 1
        from new_rows as r
        inner join public.organizations as o
            on o.id = (pg_catalog.to_jsonb(r) ->> tg_argv[0])::uuid
        where o.status <> 'active'
    ) then
        perform private.fail(
            409, 'organization.read_only', 'this organization is closing and cannot change',
            'an owner can reopen it'
        );
    end if;
    return null;
end;
$$;
comment on function private.tg_closing_read_only() is
'Refuses service_role a change in an organization that is not active.';

create procedure private.guard_tenant_tables()
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_table record;
    v_operation text;
    v_transition text;
begin
    for v_table in
        select t.relation, c.relname::text as name, 'organization_id' as tenant
        from private.tenant_tables() as t
        inner join pg_catalog.pg_class as c on t.relation = c.oid
        -- Who may enter is decided also under a hold; the audit record keeps what was.
        where c.relname not in (
            'memberships', 'team_members', 'role_permissions', 'invitations',
            'invitation_tokens', 'api_keys', 'api_key_permissions', 'webhook_receipts',
            'secret_leases'
        )
        union all
        select 'public.organizations'::regclass, 'organizations', 'id'
    loop
        execute pg_catalog.format(
            'create or replace trigger %I after delete on %s referencing old table as old_rows '
            'for each statement execute function private.tg_keep_held(%L)',
            'tg_' || v_table.name || '__keep_held', v_table.relation, v_table.tenant
        );
        execute pg_catalog.format(
            'create or replace trigger %I before truncate on %s '
            'for each statement execute function private.tg_keep_held_truncate()',
            'tg_' || v_table.name || '__keep_held_truncate', v_table.relation
        );
        -- Also for a session that calls itself a replica.
        execute pg_catalog.format(
            'alter table %s enable always trigger %I, enable always trigger %I',
            v_table.relation, 'tg_' || v_table.name || '__keep_held',
            'tg_' || v_table.name || '__keep_held_truncate'
        );
    end loop;
    for v_table in
        select t.relation, c.relname::text as name, 'organization_id' as tenant
        from private.tenant_tables() as t
        inner join pg_catalog.pg_class as c on t.relation = c.oid
        -- Exports go on while an organization is closing, and so does saying no to staff.
        where t.exported and c.relname not in ('export_jobs', 'support_requests')
        union all
        select 'public.organizations'::regclass, 'organizations', 'id'
    loop
        foreach v_operation in array array['insert', 'update', 'delete'] loop
            v_transition := case
                when v_operation = 'delete' then 'old table as old_rows'
                else 'new table as new_rows'
            end;
            execute pg_catalog.format(
                'create or replace trigger %I after %s on %s referencing %s for each statement '
                'when (current_user = ''service_role'') '
                'execute function private.tg_closing_read_only(%L)',
                'tg_' || v_table.name || '__closing_' || v_operation, v_operation,
                v_table.relation, v_transition, v_table.tenant
            );
        end loop;
    end loop;
end;
$$;
comment on procedure private.guard_tenant_tables is
'Puts holds and the closing state on every tenant table. To be called after adding a table.';

-- Exports -----------------------------------------------------------------------------------
create table public.organization_exports (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    status text not null default 'requested',
    requested_by uuid default auth.uid(),
    requested_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    row_count bigint,
    manifest_sha256 text,
    error text,
    constraint organization_exports_pkey primary key (organization_id, id),
    constraint organization_exports_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint organization_exports_status_check check (
        status in ('requested', 'running', 'done', 'failed')
    )
);
comment on table public.organization_exports is
'Requests to take everything of an organization away, and what became of them.';
call private.lock_down('public.organization_exports');
call private.audit_table('public.organization_exports');

create function private.export_lock(p_organization_id uuid)
returns integer
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select pg_catalog.hashtext(p_organization_id::text) & 2147483647
$$;
comment on function private.export_lock(uuid) is
'The second key of the advisory lock (486104, ...) that a running export holds.';

create function private.is_exporting(p_organization_id uuid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    -- A lock and not a row: an exporter that was killed leaves its row behind, but no lock.
    select exists (
        select 1
        from pg_catalog.pg_locks as l
        inner join pg_catalog.pg_database as d on l.database = d.oid
        where
            d.datname = pg_catalog.current_database()
            and l.locktype = 'advisory'
            and l.classid = 486104
            and l.objid = private.export_lock(p_organization_id)::oid
            and l.granted
    )
$$;
comment on function private.is_exporting(uuid) is
'Whether an export of the organization is running right now.';

create function private.request_export(p_organization_id uuid)
returns uuid
language plpgsql
volatile
-- Clients cannot write exports.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id uuid;
begin
    perform private.require(p_organization_id, 'organization.export');
    select e.id
    into v_id
    from public.organization_exports as e
    where e.organization_id = p_organization_id and e.status in ('requested', 'running');
    if v_id is null then
        insert into public.organization_exports as e (organization_id)
        values (p_organization_id)
        returning e.id into v_id;
    end if;
    return v_id;
end;
$$;
comment on function private.request_export(uuid) is
'Asks the operators for a full export; asking again returns the open request.';
grant execute on function private.request_export(uuid) to authenticated;

create function public.request_export(organization_id uuid)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.request_export(organization_id)
$$;
comment on function public.request_export(uuid) is
'Asks for everything of the organization as files. Needs organization.export, also when closing.';
grant execute on function public.request_export(uuid) to authenticated;

-- Closing -----------------------------------------------------------------------------------
create table private.closures (
    organization_id uuid not null,
    reason text,
    closing_at timestamptz not null default now(),
    closing_by uuid,
    purge_after timestamptz not null default now() + interval '30 days',
    closed_at timestamptz,
    purge_started_at timestamptz,
    purged_at timestamptz,
    constraint closures_pkey primary key (organization_id),
    constraint closures_purge_after_check check (
        purge_after >= closing_at and purge_after <= closing_at + interval '366 days'
    )
);
comment on table private.closures is 'Organizations on their way out, and when they are purged.';
create index closures_due_idx on private.closures (purge_after) where purged_at is null;
call private.lock_down('private.closures');
call private.audit_table('private.closures');

create function private.close_organization(p_organization_id uuid, p_reason text)
returns timestamptz
language plpgsql
volatile
-- The status is not writable by clients.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_status text;
    v_until timestamptz;
begin
    -- Not a permission that writes: a second call must learn that it is closing already.
    perform private.require(p_organization_id, 'organization.close');
    select o.status
    into v_status
    from public.organizations as o
    where o.id = p_organization_id
    for update;
    -- What was waited for may have been the end of this permission.
    perform private.require(p_organization_id, 'organization.close');
    if v_status <> 'active' then
        perform private.fail(
            409, 'organization.not_active', 'this organization is already closing',
            'an owner can reopen it until it is closed'
        );
    end if;
    update public.organizations set status = 'closing' where id = p_organization_id;
    insert into private.closures as c (organization_id, reason, closing_by)
    values (p_organization_id, p_reason, auth.uid())
    on conflict (organization_id) do update
    set
        reason = excluded.reason,
        closing_at = excluded.closing_at,
        closing_by = excluded.closing_by,
        purge_after = excluded.purge_after,
        closed_at = null
    returning c.purge_after into v_until;
    perform private.notify_owners(
        p_organization_id,
        'organization.closing',
        'closing ' || pg_catalog.now()::text,
        'Your organization is closing',
        pg_catalog.format(
            'Your organization is read-only now. You can export its data and reopen it until %s; '
            'after that it is deleted, unless the law requires it to be kept.', v_until
        )
    );
    return v_until;
end;
$$;
comment on function private.close_organization(uuid, text) is
'Starts the closure: read-only, exportable, reversible. Returns until when.';
grant execute on function private.close_organization(uuid, text) to authenticated;

create function public.close_organization(organization_id uuid, reason text default null)
returns timestamptz
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.close_organization(organization_id, reason)
$$;
comment on function public.close_organization(uuid, text) is
'Closes the organization: read-only and exportable for 30 days, then deleted. For owners, aal2.';
grant execute on function public.close_organization(uuid, text) to authenticated;

create function private.reopen_organization(p_organization_id uuid)
returns void
language plpgsql
volatile
-- The status is not writable by clients.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require(p_organization_id, 'organization.close');
    perform 1
    from public.organizations as o
    where o.id = p_organization_id and o.status = 'closing'
    for update;
    if not found then
        perform private.fail(
            409, 'organization.not_closing', 'this organization is not closing', null
        );
    end if;
    update public.organizations set status = 'active' where id = p_organization_id;
    delete from private.closures where organization_id = p_organization_id;
end;
$$;
comment on function private.reopen_organization(uuid) is 'Takes a closure back.';
grant execute on function private.reopen_organization(uuid) to authenticated;

create function public.reopen_organization(organization_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.reopen_organization(organization_id)
$$;
comment on function public.reopen_organization(uuid) is
'Takes the closure of the organization back. For owners, with a second factor.';
grant execute on function public.reopen_organization(uuid) to authenticated;

-- Purging -----------------------------------------------------------------------------------
create table private.purge_progress (
    organization_id uuid not null,
    table_name text not null,
    rows bigint not null default 0,
    digest bytea not null default sha256(''),
    constraint purge_progress_pkey primary key (organization_id, table_name)
);
comment on table private.purge_progress is
'How many rows a purge deleted per table, and a running digest over them.';
call private.lock_down('private.purge_progress');

create table private.deletion_certificates (
    organization_id uuid not null,
    document text not null,
    key_id text not null,
    signature bytea not null,
    signed_at timestamptz not null default now(),
    constraint deletion_certificates_pkey primary key (organization_id),
    constraint deletion_certificates_signature_check check (octet_length(signature) = 64)
);
comment on table private.deletion_certificates is
'What was deleted when, signed by a key that is not in the database. Holds no personal data.';
call private.lock_down('private.deletion_certificates');

create or replace function private.is_being_purged(p_organization_id uuid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select 1
        from private.closures as c
        where
            c.organization_id = p_organization_id
            and c.purge_started_at is not null
            and c.purged_at is null
    )
$$;

create function private.start_purge(p_organization_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_status text;
    v_after timestamptz;
begin
    select o.status, c.purge_after
    into v_status, v_after
    from public.organizations as o
    left join private.closures as c on o.id = c.organization_id
    where o.id = p_organization_id
    for update of o;
    if v_status is null then
        perform private.fail(404, 'organization.unknown', 'there is no such organization', null);
    end if;
    if v_status = 'purged' then
        perform private.fail(409, 'organization.purged', 'it is purged already', null);
    end if;
    perform private.assert_deletable(p_organization_id);
    if v_status = 'active' or v_after is null then
        perform private.fail(
            409, 'organization.not_closing', 'only a closing organization can be purged',
            'an owner closes it first: close_organization()'
        );
    end if;
    if v_after > pg_catalog.clock_timestamp() then
        perform private.fail(
            409, 'organization.export_window',
            pg_catalog.format('its data can be exported until %s', v_after),
            'wait, or reopen it'
        );
    end if;
    if private.is_exporting(p_organization_id) then
        perform private.fail(
            409, 'organization.exporting', 'an export of this organization is running',
            'run it again when the export is done'
        );
    end if;
    update public.organizations
    set status = 'closed'
    where id = p_organization_id and status = 'closing';
    update private.closures
    set
        closed_at = coalesce(closed_at, pg_catalog.now()),
        purge_started_at = coalesce(purge_started_at, pg_catalog.now())
    where organization_id = p_organization_id;
end;
$$;
comment on function private.start_purge(uuid) is
'Checks that an organization may be purged and closes it for good. Safe to repeat. Internal.';

create function private.purge_batch(
    p_organization_id uuid, p_relation regclass, p_limit integer
)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count bigint;
    v_digest bytea;
begin
    -- Asked again in every batch: a hold that arrives in the middle stops the rest.
    perform private.assert_deletable(p_organization_id);
    if not private.is_being_purged(p_organization_id) then
        perform private.fail(409, 'organization.not_purging', 'no purge is under way', null);
    end if;
    execute pg_catalog.format(
        'with gone as ('
        'delete from %1$s as t where t.ctid = any(array('
        'select s.ctid from %1$s as s where s.organization_id = $1 limit $2)) '
        'and t.organization_id = $1 returning '
        'pg_catalog.sha256(pg_catalog.convert_to(t::text, ''UTF8'')) as digest) '
        'select pg_catalog.count(*), pg_catalog.string_agg(g.digest, null order by g.digest) '
        'from gone as g',
        p_relation
    )
    into v_count, v_digest
    using p_organization_id, p_limit;
    if v_count > 0 then
        insert into private.purge_progress as p (organization_id, table_name, rows, digest)
        values (
            p_organization_id, p_relation::text, v_count,
            pg_catalog.sha256(pg_catalog.sha256('') || v_digest)
        )
        on conflict (organization_id, table_name) do update
        set
            rows = p.rows + v_count,
            digest = pg_catalog.sha256(p.digest || v_digest);
    end if;
    return v_count;
end;
$$;
comment on function private.purge_batch(uuid, regclass, integer) is
'Deletes up to so many rows of one table of an organization under purge; counts and digests them.';

create function private.erase_audit_payloads(p_organization_id uuid, p_limit integer)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_last bigint;
    v_count bigint;
begin
    perform private.assert_deletable(p_organization_id);
    -- Said first: a verification in the middle must find the erasure on record.
    if not exists (
        select 1
        from audit.events as e
        where e.organization_id = p_organization_id and e.action = 'payloads.erased'
    ) then
        select pg_catalog.max(l.first_event + l.events - 1)
        into v_last
        from audit.links as l
        where l.organization_id = p_organization_id;
        if v_last is null then
            return 0;
        end if;
        perform private.audit_record(
            p_organization_id, 'payloads.erased', null, 'audit.events', '1-' || v_last::text
        );
    end if;
    with boundary as (
        select e.statement
        from audit.events as e
        where e.organization_id = p_organization_id and e.action = 'payloads.erased'
        order by e.statement
        limit 1
    )
    update audit.events as e
    set payload = null, salt = null
    where
        e.organization_id = p_organization_id
        and (e.at, e.statement, e.position) in (
            select x.at, x.statement, x.position
            from audit.events as x, boundary as b
            where
                x.organization_id = p_organization_id
                and x.salt is not null
                and x.statement < b.statement
            limit p_limit
        );
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;
comment on function private.erase_audit_payloads(uuid, integer) is
'Erases the payloads of a purged organization''s events in batches; the chain stays. Internal.';

create function private.finish_purge(p_organization_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.assert_deletable(p_organization_id);
    -- The row stays as a tombstone, without a name.
    update public.organizations
    set
        status = 'purged',
        name = 'Purged organization',
        slug = 'purged-' || pg_catalog.replace(p_organization_id::text, '-', '')
    where id = p_organization_id and status = 'closed';
    update private.notifications
    set recipient = 'erased-' || id::text, subject = 'erased', body = 'erased'
    where organization_id = p_organization_id and status <> 'pending';
    update private.closures
    set purged_at = pg_catalog.now(), reason = null
    where organization_id = p_organization_id and purged_at is null;
    perform private.audit_record(
        p_organization_id,
        'organization.purged',
        (
            select pg_catalog.jsonb_object_agg(p.table_name, p.rows)
            from private.purge_progress as p
            where p.organization_id = p_organization_id
        )
    );
end;
$$;
comment on function private.finish_purge(uuid) is
'Turns the organization into a nameless tombstone and records the counts. Internal.';

create procedure private.purge_organization(p_organization_id uuid, p_batch integer default 5000)
language plpgsql
-- One transaction: PostgreSQL allows no COMMIT in a procedure that pins its search path. The
-- command line commits each batch instead; an interrupted call here leaves nothing behind.
set search_path = pg_catalog, pg_temp
as $$
declare
    v_table record;
    v_count bigint;
    v_total bigint;
begin
    perform private.start_purge(p_organization_id);
    -- Keys first: from here on the secrets are unreadable, whatever happens next.
    perform private.shred_organization_keys(p_organization_id);
    -- Children first. Rows that refer to each other need a second round.
    loop
        v_total := 0;
        for v_table in
            select t.relation from private.tenant_tables() as t order by t.place desc, t.relation
        loop
            loop
                v_count := private.purge_batch(p_organization_id, v_table.relation, p_batch);
                v_total := v_total + v_count;
                exit when v_count < p_batch;
            end loop;
        end loop;
        exit when v_total = 0;
    end loop;
    loop
        v_count := private.erase_audit_payloads(p_organization_id, p_batch);
        exit when v_count = 0;
    end loop;
    perform private.finish_purge(p_organization_id);
end;
$$;
comment on procedure private.purge_organization is
'Purges one organization, whole or not at all; goes on where a batched purge stopped.';

create procedure private.retention_run(p_batch integer default 5000)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_organization_id uuid;
begin
    for v_organization_id in
        select c.organization_id
        from private.closures as c
        where
            c.purged_at is null
            and c.purge_after <= pg_catalog.clock_timestamp()
            and not exists (
                select 1
                from private.legal_holds as h
                where h.organization_id = c.organization_id and h.released_at is null
            )
            and not private.is_exporting(c.organization_id)
        order by c.purge_after, c.organization_id
    loop
        -- One that cannot be purged now must not keep the others from it.
        begin
            call private.purge_organization(v_organization_id, p_batch);
        exception when others then
            raise warning 'organization % was not purged: %', v_organization_id, sqlerrm;
        end;
    end loop;
end;
$$;
comment on procedure private.retention_run is
'Purges every organization that is due and not on hold. What pg_cron calls.';

-- Both change something and are open while the organization closes, so they do not count as
-- writing; staff with a grant for reading must not hold them.
insert into public.permissions (key, description, writes, step_up, members_only) values
('organization.export', 'Take everything of the organization away as files', false, true, true),
('organization.close', 'Close and reopen the organization', false, true, true);
insert into public.builtin_role_permissions (role, permission) values
('owner', 'organization.export'),
('owner', 'organization.close');

-- Where pg_cron exists, the purge runs by itself every night.
do $$
begin
    if exists (select 1 from pg_catalog.pg_extension as e where e.extname = 'pg_cron') then
        execute 'select cron.schedule($1, $2, $3)'
        using 'harmonia-retention', '17 3 * * *', 'call private.retention_run()';
    end if;
exception when others then
    raise notice 'pg_cron is there but would not take the schedule: %', sqlerrm;
end;
$$;
