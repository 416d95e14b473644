set local lock_timeout = '4s';

-- Platform staff have no standing access to tenants. They ask, somebody else agrees, it ends by
-- itself, and every use is recorded.

-- Who is platform staff ---------------------------------------------------------------------
create table private.platform_admins (
    user_id uuid not null,
    added_at timestamptz not null default now(),
    added_by text not null default session_user,
    disabled_at timestamptz,
    constraint platform_admins_pkey primary key (user_id),
    constraint platform_admins_user_id_fkey
    foreign key (user_id) references auth.users (id) on delete cascade
);
comment on table private.platform_admins is
'Staff of the platform. Grants nothing inside any organization.';
call private.lock_down('private.platform_admins');

create function private.tg_platform_admins__record()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Whoever ceases to be staff is out at once, whichever way they ceased.
    if tg_op = 'DELETE' or (tg_op = 'UPDATE' and new.disabled_at is not null) then
        update private.support_grants as g
        set revoked_at = pg_catalog.clock_timestamp()
        where
            g.agent_id = old.user_id
            and g.revoked_at is null
            and g.expires_at > pg_catalog.clock_timestamp();
    end if;
    perform private.audit_record(
        null,
        'platform_admin.' || pg_catalog.lower(tg_op),
        case
            when tg_op = 'UPDATE'
                then pg_catalog.jsonb_build_object('disabled_at', new.disabled_at)
        end,
        'private.platform_admins',
        case when tg_op = 'DELETE' then old.user_id else new.user_id end::text
    );
    return null;
end;
$$;
comment on function private.tg_platform_admins__record() is
'Records who became or ceased to be platform staff, and ends the access of those who ceased.';

create trigger tg_platform_admins__record
after insert or update or delete on private.platform_admins
for each row
execute function private.tg_platform_admins__record();

create trigger tg_platform_admins__audit_truncate
after truncate on private.platform_admins
for each statement
execute function audit.tg_capture_truncate();

alter table private.platform_admins enable always trigger tg_platform_admins__record;
alter table private.platform_admins enable always trigger tg_platform_admins__audit_truncate;

create function private.is_platform_admin(p_user_id uuid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select 1
        from private.platform_admins as a
        where a.user_id = p_user_id and a.disabled_at is null
    )
$$;
comment on function private.is_platform_admin(uuid) is
'Whether somebody is platform staff. Internal.';

create function private.require_platform_admin()
returns uuid
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id constant uuid := private.current_user_id();
begin
    if private.is_platform_admin(v_user_id) and auth.jwt() ->> 'aal' = 'aal2' then
        return v_user_id;
    end if;
    perform private.fail(
        403, 'platform.denied', 'this needs platform staff with a second factor',
        'sign in with your second factor'
    );
    return null;
end;
$$;
comment on function private.require_platform_admin() is
'The caller, if platform staff at aal2. Internal.';

-- Asking ------------------------------------------------------------------------------------
create table public.support_requests (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    agent_id uuid not null,
    permissions text[] not null,
    writes boolean not null default false,
    reason text not null,
    duration interval not null,
    status text not null default 'pending',
    break_glass boolean not null default false,
    requested_at timestamptz not null default now(),
    decided_by uuid,
    decided_at timestamptz,
    constraint support_requests_pkey primary key (organization_id, id),
    constraint support_requests_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint support_requests_permissions_check check (
        cardinality(permissions) between 1 and 50
    ),
    constraint support_requests_reason_check check (char_length(reason) between 10 and 2000),
    constraint support_requests_duration_check check (
        duration >= interval '5 minutes' and duration <= interval '8 hours'
    ),
    constraint support_requests_status_check check (
        status in ('pending', 'approved', 'denied', 'revoked')
    ),
    constraint support_requests_decided_by_check check (decided_by <> agent_id)
);
comment on table public.support_requests is
'Platform staff asking for access to one organization: what for, to what, how long.';
comment on column public.support_requests.writes is 'Without it only reading can be asked for.';
comment on column public.support_requests.break_glass is
'Approved by a second member of platform staff instead of the organization, which is told.';
create index support_requests_agent_id_idx on public.support_requests (agent_id);
call private.lock_down('public.support_requests');
call private.audit_table('public.support_requests');

-- A grant names the request it came from.
alter table private.support_grants add column request_id uuid;
comment on column private.support_grants.request_id is 'The request that was approved.';

create function private.request_support_access(
    p_organization_id uuid,
    p_permissions text[],
    p_reason text,
    p_duration interval,
    p_writes boolean
)
returns uuid
language plpgsql
volatile
-- Staff may not write in any organization.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_agent_id constant uuid := private.require_platform_admin();
    v_permission text;
    v_id uuid;
begin
    if not exists (
        select 1
        from public.organizations as o
        where o.id = p_organization_id and o.status in ('active', 'closing')
    ) then
        perform private.fail(
            404, 'organization.unknown', 'there is no open organization with this id', null
        );
    end if;
    foreach v_permission in array coalesce(p_permissions, '{}') loop
        if not exists (
            select 1
            from public.permissions as p
            where p.key = v_permission and (p_writes or not p.writes) and not p.members_only
        ) then
            perform private.fail(
                400,
                'support.permission',
                pg_catalog.format('%s cannot be asked for like this', v_permission),
                'name an existing permission that is not for members only; '
                'one that writes needs writes => true'
            );
        end if;
    end loop;
    -- The same rules as the table's own, in words for whoever asks.
    if p_permissions is null or pg_catalog.cardinality(p_permissions) not between 1 and 50 then
        perform private.fail(
            400, 'support.permission', 'no permission is named, or more than 50',
            'name what the task needs'
        );
    end if;
    if p_reason is null or pg_catalog.char_length(p_reason) not between 10 and 2000 then
        perform private.fail(
            400, 'support.reason', 'the reason has 10 to 2000 characters',
            'say what it is for; the organization decides by it'
        );
    end if;
    if p_duration is null
        or p_duration < interval '5 minutes' or p_duration > interval '8 hours'
    then
        perform private.fail(
            400, 'support.duration', 'access lasts 5 minutes to 8 hours', 'ask again when it ends'
        );
    end if;
    insert into public.support_requests as r (
        organization_id, agent_id, permissions, reason, duration, writes
    )
    values (
        p_organization_id, v_agent_id, p_permissions, p_reason, p_duration, coalesce(p_writes, false)
    )
    returning r.id into v_id;
    return v_id;
end;
$$;
comment on function private.request_support_access(uuid, text[], text, interval, boolean) is
'Asks an organization for access. For platform staff at aal2.';
grant execute on function private.request_support_access(uuid, text[], text, interval, boolean)
to authenticated;

create function public.request_support_access(
    organization_id uuid,
    permissions text[],
    reason text,
    duration interval default '1 hour',
    writes boolean default false
)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.request_support_access(
        organization_id, permissions, reason, duration, writes
    )
$$;
comment on function public.request_support_access(uuid, text[], text, interval, boolean) is
'Asks an organization for access, at most 8 hours. For platform staff.';
grant execute on function public.request_support_access(uuid, text[], text, interval, boolean)
to authenticated;

-- Agreeing ----------------------------------------------------------------------------------
create function private.require_decider(p_organization_id uuid, p_break_glass boolean)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_break_glass then
        perform private.require_platform_admin();
    else
        perform private.require(p_organization_id, 'support.approve');
    end if;
end;
$$;
comment on function private.require_decider(uuid, boolean) is
'Refuses who may not decide on a request of support: for the organization, or by breaking glass.';

create function private.decide_support_request(
    p_organization_id uuid, p_request_id uuid, p_decision text, p_break_glass boolean
)
returns void
language plpgsql
volatile
-- Nobody may write grants.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id constant uuid := private.current_user_id();
    v_request public.support_requests;
begin
    perform private.require_decider(p_organization_id, p_break_glass);
    -- Two approvals at once would hand out the grant twice.
    select r.*
    into v_request
    from public.support_requests as r
    where r.organization_id = p_organization_id and r.id = p_request_id
    for update;
    -- What was waited for may have been the end of this right.
    perform private.require_decider(p_organization_id, p_break_glass);
    if v_request.id is null then
        perform private.fail(
            404, 'support.unknown', 'there is no such request', 'list the requests'
        );
    end if;
    if v_request.agent_id = v_user_id then
        perform private.fail(
            403, 'support.own_request', 'one cannot decide on one''s own request',
            'ask somebody else to decide'
        );
    end if;
    if v_request.status <> 'pending'
        or v_request.requested_at < pg_catalog.clock_timestamp() - interval '24 hours'
    then
        perform private.fail(
            409, 'support.decided', 'this request is decided or older than a day',
            'ask again'
        );
    end if;
    update public.support_requests as r
    set
        status = p_decision,
        decided_by = v_user_id,
        decided_at = pg_catalog.now(),
        break_glass = p_break_glass
    where r.organization_id = p_organization_id and r.id = p_request_id;
    if p_decision <> 'approved' then
        return;
    end if;
    -- Staff who were dismissed meanwhile get nothing. Locked: a dismissal that comes now waits, and
    -- then finds the grants that it ends.
    perform 1
    from private.platform_admins as a
    where a.user_id = v_request.agent_id and a.disabled_at is null
    for share;
    if not found then
        perform private.fail(
            409, 'support.agent_left', 'the person who asked is no longer platform staff', null
        );
    end if;
    insert into private.support_grants (
        organization_id, agent_id, permission, reason, approved_by, break_glass, starts_at,
        expires_at, request_id
    )
    select
        p_organization_id, v_request.agent_id, p.permission, v_request.reason, v_user_id,
        p_break_glass, pg_catalog.now(), pg_catalog.now() + v_request.duration, p_request_id
    from pg_catalog.unnest(v_request.permissions) as p (permission);
    -- Not in silence: where nobody can be told, nobody gets in.
    if p_break_glass and private.notify_owners(
        p_organization_id,
        'support.break_glass',
        'break-glass ' || p_request_id::text,
        'Platform staff opened your organization',
        pg_catalog.format(
            'Platform staff gave a colleague access to your organization until %s without '
            'asking you first. Reason given: %s. You can end it at any time by revoking the '
            'access under support access; everything done with it is in your audit record.',
            pg_catalog.now() + v_request.duration, v_request.reason
        )
    ) = 0 then
        perform private.fail(
            409, 'support.nobody_to_tell',
            'no owner of this organization can be told by e-mail',
            'ask the organization to approve the request'
        );
    end if;
end;
$$;
comment on function private.decide_support_request(uuid, uuid, text, boolean) is
'Approves or denies a request, as the organization or (break-glass) as a second staff member.';
grant execute on function private.decide_support_request(uuid, uuid, text, boolean)
to authenticated;

create function public.approve_support_request(organization_id uuid, request_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.decide_support_request(organization_id, request_id, 'approved', false)
$$;
comment on function public.approve_support_request(uuid, uuid) is
'Lets the staff member in, as asked. Needs support.approve and a second factor.';
grant execute on function public.approve_support_request(uuid, uuid) to authenticated;

create function public.deny_support_request(organization_id uuid, request_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.decide_support_request(organization_id, request_id, 'denied', false)
$$;
comment on function public.deny_support_request(uuid, uuid) is
'Refuses a request for access. Needs support.approve.';
grant execute on function public.deny_support_request(uuid, uuid) to authenticated;

create function public.break_glass_support_request(organization_id uuid, request_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.decide_support_request(organization_id, request_id, 'approved', true)
$$;
comment on function public.break_glass_support_request(uuid, uuid) is
'Approves a colleague''s request without the organization, whose owners are told. For staff.';
grant execute on function public.break_glass_support_request(uuid, uuid) to authenticated;

create function private.revoke_support_access(p_organization_id uuid, p_request_id uuid)
returns bigint
language plpgsql
volatile
-- Nobody may write grants.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id constant uuid := private.current_user_id();
    v_count bigint;
begin
    perform private.require(p_organization_id, 'support.approve');
    -- Requests first: an approval that is under way holds its request, and once it is through, its
    -- grants are there to be seen.
    update public.support_requests as r
    set status = 'revoked'
    where
        r.organization_id = p_organization_id
        and (p_request_id is null or r.id = p_request_id)
        and r.status in ('pending', 'approved');
    update private.support_grants as g
    set revoked_at = pg_catalog.clock_timestamp(), revoked_by = v_user_id
    where
        g.organization_id = p_organization_id
        and (p_request_id is null or g.request_id = p_request_id)
        and g.revoked_at is null
        and g.expires_at > pg_catalog.clock_timestamp();
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;
comment on function private.revoke_support_access(uuid, uuid) is
'Ends grants at once: of one request, or all of an organization. Returns how many were live.';
grant execute on function private.revoke_support_access(uuid, uuid) to authenticated;

create function public.revoke_support_access(organization_id uuid, request_id uuid default null)
returns bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.revoke_support_access(organization_id, request_id)
$$;
comment on function public.revoke_support_access(uuid, uuid) is
'Ends support access at once: of one request, or all of it. Needs support.approve.';
grant execute on function public.revoke_support_access(uuid, uuid) to authenticated;

create function private.support_access(p_organization_id uuid)
returns table (
    grant_id uuid,
    request_id uuid,
    agent_id uuid,
    permission text,
    reason text,
    approved_by uuid,
    break_glass boolean,
    starts_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz
)
language plpgsql
stable
-- Grants are closed to clients; this shows an organization its own.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require(p_organization_id, 'audit.read');
    return query
        select
            g.id, g.request_id, g.agent_id, g.permission, g.reason, g.approved_by,
            g.break_glass, g.starts_at, g.expires_at, g.revoked_at
        from private.support_grants as g
        where g.organization_id = p_organization_id
        order by g.starts_at desc, g.permission;
end;
$$;
comment on function private.support_access(uuid) is
'The grants an organization gave, for those who hold audit.read.';
grant execute on function private.support_access(uuid) to authenticated;

create function public.support_access(organization_id uuid)
returns table (
    grant_id uuid,
    request_id uuid,
    agent_id uuid,
    permission text,
    reason text,
    approved_by uuid,
    break_glass boolean,
    starts_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select * from private.support_access(organization_id)
$$;
comment on function public.support_access(uuid) is
'Who of the platform''s staff had or has access to the organization, and why.';
grant execute on function public.support_access(uuid) to authenticated;

-- Using it ----------------------------------------------------------------------------------
create function private.support_org_ids(p_agent_id uuid, p_permissions text[])
returns setof uuid
language plpgsql
-- Volatile inside the STABLE authorizer: the access it gives is the access it records.
volatile
set search_path = pg_catalog, pg_temp
rows 1
as $$
declare
    v_grant record;
begin
    -- Access that cannot be recorded is not given: PostgREST answers GET in a read-only
    -- transaction, so support reads by POST (support_read). See docs/how-to/support-access.md.
    if pg_catalog.current_setting('transaction_read_only') = 'on' then
        return;
    end if;
    -- Nearly everybody who asks: one look at a key answers them.
    if not exists (select 1 from private.support_grants as g where g.agent_id = p_agent_id) then
        return;
    end if;
    -- A value that does not fit is repeated by the error, which takes this record back.
    if pg_catalog.current_query() ~* '\mcast\s*\(' then
        perform private.fail(
            400, 'support.cast', 'a cast may fail, and take the record of the access with it',
            'select the column as it is'
        );
    end if;
    for v_grant in
        select
            g.organization_id,
            pg_catalog.array_agg(distinct g.permission) as permissions
        from private.support_grants as g
        inner join public.organizations as o on g.organization_id = o.id
        inner join public.permissions as p on g.permission = p.key
        where
            g.agent_id = p_agent_id
            and g.permission = any(p_permissions)
            and not p.members_only
            and g.revoked_at is null
            -- The clock, not the transaction's start: a long transaction must not outlive the
            -- grant.
            and pg_catalog.clock_timestamp() between g.starts_at and g.expires_at
            and (o.status = 'active' or (o.status = 'closing' and not p.writes))
            and exists (
                select 1
                from auth.users as u
                where
                    u.id = g.agent_id
                    and u.deleted_at is null
                    and (u.banned_until is null or u.banned_until <= pg_catalog.now())
            )
            -- A member's role is not widened, and a suspended one not let back in.
            and not exists (
                select 1
                from public.memberships as m
                where m.organization_id = g.organization_id and m.user_id = g.agent_id
            )
        group by g.organization_id
    loop
        perform private.audit_record(
            v_grant.organization_id,
            'support.access',
            pg_catalog.jsonb_build_object(
                'permissions', v_grant.permissions,
                'method', nullif(pg_catalog.current_setting('request.method', true), ''),
                'path', nullif(pg_catalog.current_setting('request.path', true), ''),
                'statement', pg_catalog.left(pg_catalog.current_query(), 2000)
            )
        );
        return next v_grant.organization_id;
    end loop;
end;
$$;
comment on function private.support_org_ids(uuid, text[]) is
'The organizations a staff member is in on a live grant; records each use. Internal.';

create function public.support_read(
    organization_id uuid, table_name text, filter jsonb default '{}', max_rows integer default 50
)
returns setof jsonb
language plpgsql
-- Volatile, so that PostgREST answers it by POST in a transaction that can record the access.
volatile
set search_path = pg_catalog, pg_temp
rows 50
as $$
declare
    v_columns text[];
    v_name text;
begin
    -- Runs as the caller: row level security decides, this only makes it reachable by POST.
    select pg_catalog.array_agg(a.attname::text)
    into v_columns
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_attribute as a on a.attrelid = c.oid
    where
        c.relnamespace = 'public'::regnamespace
        and c.relname = support_read.table_name
        and c.relkind in ('r', 'p')
        and a.attnum > 0
        and not a.attisdropped
        and pg_catalog.has_column_privilege(c.oid, a.attnum, 'select');
    if not coalesce('organization_id' = any(v_columns), false) then
        perform private.fail(
            404, 'support.table', 'there is no such table of an organization', null
        );
    end if;
    for v_name in select pg_catalog.jsonb_object_keys(support_read.filter) loop
        if v_name <> all(v_columns) then
            perform private.fail(
                400, 'support.column', pg_catalog.format('there is no column %s', v_name), null
            );
        end if;
    end loop;
    return query execute pg_catalog.format(
        'select pg_catalog.to_jsonb(r) from (select %s from public.%I as t '
        'where t.organization_id = $1) as r where pg_catalog.to_jsonb(r) @> $2 limit $3',
        (select pg_catalog.string_agg(pg_catalog.format('t.%I', x.name), ', ')
            from pg_catalog.unnest(v_columns) as x (name)),
        support_read.table_name
    )
    using
        support_read.organization_id,
        support_read.filter,
        least(greatest(support_read.max_rows, 1), 1000);
end;
$$;
comment on function public.support_read(uuid, text, jsonb, integer) is
'Reads rows of one organization by equality, as the caller may see them. For support by POST.';
grant execute on function public.support_read(uuid, text, jsonb, integer) to authenticated;

-- Staff who held it could let each other in.
insert into public.permissions (key, description, writes, step_up, members_only) values
('support.approve', 'Decide on requests of platform staff for access', false, true, true);
insert into public.builtin_role_permissions (role, permission) values
('owner', 'support.approve'),
('admin', 'support.approve');
