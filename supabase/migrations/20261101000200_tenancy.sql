set local lock_timeout = '4s';

-- Organizations -----------------------------------------------------------------------------
create table public.organizations (
    id uuid not null default private.uuid_v7(),
    name text not null,
    slug text not null,
    status text not null default 'active',
    require_mfa boolean not null default false,
    currency text not null default 'EUR',
    time_zone text not null default 'UTC',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint organizations_pkey primary key (id),
    -- The one global unique constraint: a slug is public by nature (it is part of a URL).
    constraint organizations_slug_key unique (slug),
    -- It stands in e-mails and on terminals, where a control character is a command.
    constraint organizations_name_check check (
        char_length(name) between 1 and 200 and name = btrim(name) and name !~ '[[:cntrl:]]'
    ),
    constraint organizations_slug_check check (slug ~ '^[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])$'),
    -- The short name that a purge gives: whoever took it before could keep the purge from its end.
    constraint organizations_purged_slug_check check (
        not starts_with(slug, 'purged-') or status = 'purged'
    ),
    constraint organizations_status_check check (
        status in ('active', 'closing', 'closed', 'purged')
    ),
    constraint organizations_currency_check check (currency ~ '^[A-Z]{3}$'),
    -- The form of an IANA name, as currency has that of ISO 4217. Not whether it exists: that list
    -- differs from server to server, and a dump must load on every one.
    constraint organizations_time_zone_check check (
        time_zone ~ '^[A-Za-z]+(?:[/_+-][A-Za-z0-9]+)*$' and char_length(time_zone) <= 64
    )
);
comment on table public.organizations is 'A tenant. Every other record belongs to exactly one.';
comment on column public.organizations.slug is 'Short name used in URLs; unique across tenants.';
comment on column public.organizations.status is
'active: everything; closing: read-only and exportable; closed: no access; purged: data deleted.';
comment on column public.organizations.require_mfa is
'When true, every permission in this organization needs a session at aal2.';
comment on column public.organizations.currency is 'Default ISO 4217 currency of new deals.';
call private.lock_down('public.organizations');

create trigger tg_organizations__immutable_keys
before update on public.organizations
for each row
when (old.id is distinct from new.id)
execute function private.tg_immutable_keys();

create trigger tg_organizations__touch_updated_at
before update on public.organizations
for each row
execute function private.tg_touch_updated_at();

-- Permissions and roles ---------------------------------------------------------------------
-- In seats a permission is a number: comparing texts would take most of the time that they save.
create function private.code(p_permission text)
returns bigint
-- Not SQL: a policy calls it for each of its permissions whenever a statement is planned.
language plpgsql
-- With constants it is evaluated while a statement is planned, and never again.
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        'x' || pg_catalog.left(
            pg_catalog.encode(
                pg_catalog.sha256(pg_catalog.convert_to(p_permission, 'UTF8')), 'hex'
            ),
            16
        )
    )::bit(64)::bigint;
end;
$$;
comment on function private.code(text) is
'The number that stands for a permission in seats.';
grant execute on function private.code(text) to authenticated;

create function private.codes(variadic p_permissions text[])
returns bigint[]
language plpgsql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    v_permission text;
    v_codes bigint[];
begin
    foreach v_permission in array p_permissions loop
        v_codes := v_codes || private.code(v_permission);
    end loop;
    return v_codes;
end;
$$;
comment on function private.codes(text[]) is
'The numbers that stand for permissions in seats.';
grant execute on function private.codes(text[]) to authenticated;

create table public.permissions (
    key text not null,
    description text not null,
    writes boolean not null,
    step_up boolean not null default false,
    members_only boolean not null default false,
    code bigint not null generated always as (private.code(key)) stored,
    constraint permissions_pkey primary key (key),
    -- Two permissions with the same number would be one.
    constraint permissions_code_key unique (code),
    constraint permissions_key_check check (key ~ '^[a-z_]+\.[a-z_]+$')
);
comment on table public.permissions is 'What can be permitted. The same list for every tenant.';
comment on column public.permissions.writes is
'True when it changes data: refused while the organization is closing.';
comment on column public.permissions.step_up is 'True when it always needs a session at aal2.';
comment on column public.permissions.members_only is
'True when platform staff can never be given it: what governs the organization itself.';
comment on column public.permissions.code is 'The number that stands for it in seats.';
call private.lock_down('public.permissions');

create table public.builtin_role_permissions (
    role text not null,
    permission text not null,
    constraint builtin_role_permissions_pkey primary key (role, permission),
    constraint builtin_role_permissions_permission_fkey
    foreign key (permission) references public.permissions (key) on delete cascade,
    constraint builtin_role_permissions_role_check check (
        role in ('owner', 'admin', 'manager', 'member', 'viewer')
    )
);
comment on table public.builtin_role_permissions is
'What the five built-in roles may do, in every organization.';
create index builtin_role_permissions_permission_idx
on public.builtin_role_permissions (permission);
call private.lock_down('public.builtin_role_permissions');

create table public.roles (
    organization_id uuid not null,
    key text not null,
    name text not null,
    rank bigint not null,
    builtin boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- The key is what people write and read, so it is the identity inside the organization.
    constraint roles_pkey primary key (organization_id, key),
    constraint roles_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint roles_key_check check (key ~ '^[a-z][a-z0-9_]{1,39}$'),
    constraint roles_name_check check (char_length(name) between 1 and 80 and name = btrim(name)),
    -- Custom roles rank below admin; nothing a tenant makes can outrank a built-in admin.
    constraint roles_rank_check check (
        case when builtin then rank between 1 and 100 else rank between 1 and 79 end
    ),
    -- A custom role can therefore never borrow the permissions of a built-in one by its name.
    constraint roles_builtin_check check (
        builtin = (key in ('owner', 'admin', 'manager', 'member', 'viewer'))
    )
);
comment on table public.roles is
'The roles of an organization: the five built-in ones and those it made itself.';
comment on column public.roles.rank is
'Who may manage whom: one manages only members and roles that rank below one''s own.';
call private.lock_down('public.roles');

create trigger tg_roles__immutable_keys
before update on public.roles
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.key is distinct from new.key
)
execute function private.tg_immutable_keys();

create trigger tg_roles__touch_updated_at
before update on public.roles
for each row
execute function private.tg_touch_updated_at();

create table public.role_permissions (
    organization_id uuid not null,
    role text not null,
    permission text not null,
    constraint role_permissions_pkey primary key (organization_id, role, permission),
    constraint role_permissions_role_fkey
    foreign key (organization_id, role)
    references public.roles (organization_id, key) on delete cascade,
    constraint role_permissions_permission_fkey
    foreign key (permission) references public.permissions (key) on delete cascade,
    -- Built-in roles are defined once for all tenants, in builtin_role_permissions.
    constraint role_permissions_role_check check (
        role not in ('owner', 'admin', 'manager', 'member', 'viewer')
    )
);
comment on table public.role_permissions is 'What the custom roles of an organization may do.';
create index role_permissions_permission_idx on public.role_permissions (permission);
call private.lock_down('public.role_permissions');

-- People ------------------------------------------------------------------------------------
create table public.memberships (
    organization_id uuid not null,
    user_id uuid not null,
    role text not null,
    status text not null default 'active',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint memberships_pkey primary key (organization_id, user_id),
    constraint memberships_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint memberships_user_id_fkey
    foreign key (user_id) references auth.users (id) on delete cascade,
    constraint memberships_role_fkey
    foreign key (organization_id, role)
    references public.roles (organization_id, key) on delete restrict,
    -- What a seat hangs on.
    constraint memberships_seat_key unique (organization_id, user_id, role, status),
    constraint memberships_status_check check (status in ('active', 'suspended'))
);
comment on table public.memberships is
'Who belongs to which organization in which role. Changed only through functions.';
comment on column public.memberships.status is
'suspended: the person keeps the seat and loses all access at once.';
create index memberships_user_id_idx
on public.memberships (user_id, organization_id) include (role, status);
create index memberships_role_idx on public.memberships (organization_id, role);
call private.lock_down('public.memberships');

create trigger tg_memberships__immutable_keys
before update on public.memberships
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.user_id is distinct from new.user_id
)
execute function private.tg_immutable_keys();

create trigger tg_memberships__touch_updated_at
before update on public.memberships
for each row
execute function private.tg_touch_updated_at();

create table public.profiles (
    user_id uuid not null,
    display_name text not null,
    avatar_url text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint profiles_pkey primary key (user_id),
    constraint profiles_user_id_fkey
    foreign key (user_id) references auth.users (id) on delete cascade,
    constraint profiles_display_name_check check (
        char_length(display_name) between 1 and 120 and display_name = btrim(display_name)
    ),
    constraint profiles_avatar_url_check check (
        avatar_url ~ '^https://[^[:space:]<>"]+$' and char_length(avatar_url) <= 2048
    )
);
comment on table public.profiles is
'How a person appears to the people they share an organization with.';
call private.lock_down('public.profiles');

create trigger tg_profiles__immutable_keys
before update on public.profiles
for each row
when (old.user_id is distinct from new.user_id)
execute function private.tg_immutable_keys();

create trigger tg_profiles__touch_updated_at
before update on public.profiles
for each row
execute function private.tg_touch_updated_at();

create table public.user_settings (
    user_id uuid not null,
    active_organization_id uuid,
    locale text not null default 'en',
    time_zone text not null default 'UTC',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_settings_pkey primary key (user_id),
    constraint user_settings_user_id_fkey
    foreign key (user_id) references auth.users (id) on delete cascade,
    -- Leaving an organization clears the choice by itself.
    constraint user_settings_active_organization_fkey
    foreign key (active_organization_id, user_id)
    references public.memberships (organization_id, user_id)
    on delete set null (active_organization_id),
    constraint user_settings_locale_check check (locale ~ '^[a-z]{2,3}(?:-[A-Z]{2})?$'),
    constraint user_settings_time_zone_check check (
        time_zone ~ '^[A-Za-z]+(?:[/_+-][A-Za-z0-9]+)*$' and char_length(time_zone) <= 64
    )
);
comment on table public.user_settings is 'What a person chose for themselves.';
comment on column public.user_settings.active_organization_id is
'What the user interface shows first. Never a source of authorization.';
create index user_settings_active_organization_idx
on public.user_settings (active_organization_id, user_id);
call private.lock_down('public.user_settings');

create trigger tg_user_settings__immutable_keys
before update on public.user_settings
for each row
when (old.user_id is distinct from new.user_id)
execute function private.tg_immutable_keys();

create trigger tg_user_settings__touch_updated_at
before update on public.user_settings
for each row
execute function private.tg_touch_updated_at();

create table public.teams (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    name text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint teams_pkey primary key (organization_id, id),
    constraint teams_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint teams_name_key unique (organization_id, name),
    constraint teams_name_check check (char_length(name) between 1 and 80 and name = btrim(name))
);
comment on table public.teams is 'A group of members who may share the records of their team.';
call private.lock_down('public.teams');

create trigger tg_teams__immutable_keys
before update on public.teams
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
)
execute function private.tg_immutable_keys();

create trigger tg_teams__touch_updated_at
before update on public.teams
for each row
execute function private.tg_touch_updated_at();

create table public.team_members (
    organization_id uuid not null,
    team_id uuid not null,
    user_id uuid not null,
    created_at timestamptz not null default now(),
    constraint team_members_pkey primary key (organization_id, team_id, user_id),
    constraint team_members_team_fkey
    foreign key (organization_id, team_id)
    references public.teams (organization_id, id) on delete cascade,
    constraint team_members_membership_fkey
    foreign key (organization_id, user_id)
    references public.memberships (organization_id, user_id) on delete cascade
);
comment on table public.team_members is 'Who is in which team. Changed only through functions.';
create index team_members_user_idx on public.team_members (user_id, organization_id, team_id);
create index team_members_membership_idx on public.team_members (organization_id, user_id);
call private.lock_down('public.team_members');

create table public.invitations (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    email text not null,
    role text not null,
    invited_by uuid,
    created_at timestamptz not null default now(),
    made_at_aal2 boolean not null default false,
    expires_at timestamptz not null default now() + interval '7 days',
    accepted_at timestamptz,
    accepted_by uuid,
    revoked_at timestamptz,
    constraint invitations_pkey primary key (organization_id, id),
    constraint invitations_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint invitations_role_fkey
    foreign key (organization_id, role)
    references public.roles (organization_id, key) on delete cascade,
    constraint invitations_invited_by_fkey
    foreign key (invited_by) references auth.users (id) on delete set null,
    constraint invitations_accepted_by_fkey
    foreign key (accepted_by) references auth.users (id) on delete set null,
    -- Stored lower-cased: citext would lose its index below row level security.
    constraint invitations_email_check check (
        email = lower(email)
        and email ~ '^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:]]+$'
        and char_length(email) <= 254
    ),
    constraint invitations_expires_at_check check (
        expires_at > created_at and expires_at <= created_at + interval '30 days'
    )
);
comment on table public.invitations is
'An offer of membership to one e-mail address. The token itself is never stored.';
comment on column public.invitations.made_at_aal2 is
'Whether it was made in a session at aal2: no other lets in where an organization requires that.';
create unique index invitations_open_key on public.invitations (organization_id, email)
where accepted_at is null and revoked_at is null;
create index invitations_role_idx on public.invitations (organization_id, role);
create index invitations_invited_by_idx on public.invitations (invited_by);
create index invitations_accepted_by_idx on public.invitations (accepted_by);
call private.lock_down('public.invitations');

-- Apart from the row that members may read: nobody but the functions below needs the hash.
create table private.invitation_tokens (
    organization_id uuid not null,
    invitation_id uuid not null,
    token_sha256 bytea not null,
    constraint invitation_tokens_pkey primary key (organization_id, invitation_id),
    constraint invitation_tokens_invitation_fkey
    foreign key (organization_id, invitation_id)
    references public.invitations (organization_id, id) on delete cascade,
    constraint invitation_tokens_token_sha256_key unique (token_sha256),
    constraint invitation_tokens_token_sha256_check check (octet_length(token_sha256) = 32)
);
comment on table private.invitation_tokens is 'SHA-256 of each invitation token.';
call private.lock_down('private.invitation_tokens');

-- Machines and staff ------------------------------------------------------------------------
create table public.api_keys (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    name text not null,
    hint text not null,
    created_by uuid,
    created_at timestamptz not null default now(),
    made_at_aal2 boolean not null default false,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    last_used_at timestamptz,
    constraint api_keys_pkey primary key (organization_id, id),
    -- The token names only the key; its organization is looked up here.
    constraint api_keys_id_key unique (id),
    constraint api_keys_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint api_keys_created_by_fkey
    foreign key (created_by) references auth.users (id) on delete set null,
    constraint api_keys_name_check check (
        char_length(name) between 1 and 80 and name = btrim(name)
    ),
    constraint api_keys_hint_check check (char_length(hint) between 1 and 16),
    constraint api_keys_expires_at_check check (
        expires_at > created_at and expires_at <= created_at + interval '366 days'
    )
);
comment on table public.api_keys is
'Server-to-server access for one organization: what it is called and how long it lives.';
comment on column public.api_keys.hint is 'The first characters of the key, to tell keys apart.';
comment on column public.api_keys.made_at_aal2 is
'Whether it was made in a session at aal2: no other opens an organization that requires that.';
create index api_keys_created_by_idx on public.api_keys (created_by);
call private.lock_down('public.api_keys');

create table public.api_key_permissions (
    organization_id uuid not null,
    api_key_id uuid not null,
    permission text not null,
    constraint api_key_permissions_pkey primary key (organization_id, api_key_id, permission),
    constraint api_key_permissions_api_key_fkey
    foreign key (organization_id, api_key_id)
    references public.api_keys (organization_id, id) on delete cascade,
    constraint api_key_permissions_permission_fkey
    foreign key (permission) references public.permissions (key) on delete cascade
);
comment on table public.api_key_permissions is 'What an API key may do.';
create index api_key_permissions_permission_idx on public.api_key_permissions (permission);
call private.lock_down('public.api_key_permissions');

create table private.support_grants (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    agent_id uuid not null,
    permission text not null,
    reason text not null,
    approved_by uuid not null,
    break_glass boolean not null default false,
    starts_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoked_by uuid,
    constraint support_grants_pkey primary key (organization_id, id),
    constraint support_grants_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint support_grants_agent_id_fkey
    foreign key (agent_id) references auth.users (id) on delete cascade,
    constraint support_grants_permission_fkey
    foreign key (permission) references public.permissions (key) on delete cascade,
    constraint support_grants_reason_check check (char_length(reason) between 10 and 2000),
    -- Nobody lets themselves in.
    constraint support_grants_approved_by_check check (approved_by <> agent_id),
    constraint support_grants_expires_at_check check (
        expires_at > starts_at and expires_at <= starts_at + interval '8 hours'
    )
);
comment on table private.support_grants is
'A consented, time-boxed permission for one member of platform staff in one organization.';
create index support_grants_agent_idx
on private.support_grants (agent_id, permission, expires_at);
create index support_grants_permission_idx on private.support_grants (permission);
call private.lock_down('private.support_grants');

-- The authorizer ----------------------------------------------------------------------------
create function private.org_ids(variadic p_permissions text[])
returns setof uuid
language plpgsql
stable
-- Reads memberships, roles and auth tables that the caller may not read.
security definer
set search_path = pg_catalog, pg_temp
-- Its values change with every caller, its plan does not: planning would cost more than running.
-- And the plan goes by keys whatever the statistics say: the tables of roles and permissions are
-- small, but reading them whole for each membership takes longer than all the rest.
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_bitmapscan = off
rows 5
as $$
declare
    -- Read once: each look at the token costs as much as a look into a table.
    v_claims constant jsonb := auth.jwt();
    v_user_id constant uuid := v_claims ->> 'sub';
    v_aal2 constant boolean := coalesce(v_claims ->> 'aal', 'aal1') = 'aal2';
begin
    -- plpgsql keeps the plans of these queries for the session: PostgREST's pooled connections
    -- then pay for planning once, not once a statement.
    if v_user_id is not null and coalesce(v_claims ->> 'is_anonymous', 'false') = 'false' then
        return query
            select m.organization_id
            from public.memberships as m
            inner join public.organizations as o on m.organization_id = o.id
            where
                m.user_id = v_user_id
                and m.status = 'active'
                and exists (
                    select 1
                    from public.permissions as p
                    where
                        p.key = any(p_permissions)
                        and (
                            exists (
                                select 1
                                from public.builtin_role_permissions as b
                                where b.role = m.role and b.permission = p.key
                            )
                            or exists (
                                select 1
                                from public.role_permissions as r
                                where
                                    r.organization_id = m.organization_id
                                    and r.role = m.role
                                    and r.permission = p.key
                            )
                        )
                        and (o.status = 'active' or (o.status = 'closing' and not p.writes))
                        and (v_aal2 or not p.step_up)
                )
                and (
                    v_aal2
                    or not (
                        o.require_mfa
                        or exists (
                            select 1
                            from auth.mfa_factors as f
                            where f.user_id = v_user_id and f.status = 'verified'
                        )
                    )
                )
                and exists (
                    select 1
                    from auth.users as u
                    where
                        u.id = v_user_id
                        and u.deleted_at is null
                        and (u.banned_until is null or u.banned_until <= pg_catalog.now())
                );
        if v_aal2 then
            -- Records every use of a grant, and gives nothing where it could not.
            return query select s.id from private.support_org_ids(v_user_id, p_permissions) as s (id);
        end if;
    elsif v_user_id is null then
        return query
            select distinct k.organization_id
            from public.api_keys as k
            inner join public.api_key_permissions as kp
                on k.organization_id = kp.organization_id and k.id = kp.api_key_id
            inner join public.permissions as p on kp.permission = p.key
            inner join public.organizations as o on k.organization_id = o.id
            where
                k.id = (v_claims ->> 'api_key_id')::uuid
                and kp.permission = any(p_permissions)
                and k.revoked_at is null
                and k.expires_at > pg_catalog.clock_timestamp()
                -- A machine has no second factor, so step-up permissions are never its own.
                and not p.step_up
                and (o.status = 'active' or (o.status = 'closing' and not p.writes))
                -- What was made with a password alone must not outlive the rule. Whether the maker
                -- still has a second factor is looked at where the key is exchanged.
                and (not o.require_mfa or k.made_at_aal2)
                -- A key is as good as who made it, and still knows it: one who was removed,
                -- suspended or demoted since must not go on through a key.
                and exists (
                    select 1
                    from public.memberships as m
                    inner join auth.users as u on m.user_id = u.id
                    where
                        m.organization_id = k.organization_id
                        and m.user_id = k.created_by
                        and m.status = 'active'
                        and u.deleted_at is null
                        and (u.banned_until is null or u.banned_until <= pg_catalog.now())
                        and (
                            exists (
                                select 1
                                from public.builtin_role_permissions as b
                                where b.role = m.role and b.permission = kp.permission
                            )
                            or exists (
                                select 1
                                from public.role_permissions as r
                                where
                                    r.organization_id = m.organization_id
                                    and r.role = m.role
                                    and r.permission = kp.permission
                            )
                        )
                );
    end if;
end;
$$;
comment on function private.org_ids(text[]) is
'The one authorizer: the organizations in which the caller holds any of the permissions now.';
grant execute on function private.org_ids(text[]) to authenticated;

create function private.colleague_ids()
returns setof uuid
language plpgsql
stable
-- Reads memberships past their policies.
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_bitmapscan = off
rows 50
as $$
begin
    return query
        select distinct m.user_id
        from public.memberships as m
        where m.organization_id = any(array(select private.org_ids('members.read')));
end;
$$;
comment on function private.colleague_ids() is
'The people who share an organization with the caller in which the caller may see members.';
grant execute on function private.colleague_ids() to authenticated;

create function private.has_permission(p_organization_id uuid, p_permission text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(p_organization_id = any(array(select private.org_ids(p_permission))), false)
$$;
comment on function private.has_permission(uuid, text) is
'Whether the caller holds a permission in one organization. For functions, not for policies.';
grant execute on function private.has_permission(uuid, text) to authenticated;

create function private.require(p_organization_id uuid, p_permission text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if private.has_permission(p_organization_id, p_permission) then
        return;
    end if;
    perform private.fail(
        403,
        'permission.denied',
        pg_catalog.format('this needs the permission %s', p_permission),
        'ask an administrator of the organization, or sign in with your second factor'
    );
end;
$$;
comment on function private.require(uuid, text) is
'Refuses the caller who does not hold a permission. An unknown organization reads the same.';
grant execute on function private.require(uuid, text) to authenticated;

create function private.role_permission_keys(p_organization_id uuid, p_role text)
returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select b.permission
    from public.builtin_role_permissions as b
    where b.role = p_role
    union all
    select r.permission
    from public.role_permissions as r
    where r.organization_id = p_organization_id and r.role = p_role
$$;
comment on function private.role_permission_keys(uuid, text) is
'What a role may do by name, leaving aside status and second factor. Internal.';

create function public.my_permissions(organization_id uuid)
returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select p.key
    from public.permissions as p
    where private.has_permission(my_permissions.organization_id, p.key)
    order by p.key
$$;
comment on function public.my_permissions(uuid) is
'What the caller may do in an organization right now; for showing and hiding buttons.';
grant execute on function public.my_permissions(uuid) to authenticated;

-- An organization in use always has an owner ------------------------------------------------
create function private.tg_memberships__keep_owner()
returns trigger
language plpgsql
-- Locks and reads the organization past its policies, and the accounts of its owners.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- The lock makes two concurrent departures of two owners see each other.
    perform 1
    from public.organizations as o
    where o.id = old.organization_id and o.status in ('active', 'closing')
    for no key update;
    if found and not exists (
        select 1
        from public.memberships as m
        inner join auth.users as u on m.user_id = u.id
        where
            m.organization_id = old.organization_id
            and m.role = 'owner'
            and m.status = 'active'
            -- For the authorizer there is nobody behind such an account.
            and u.deleted_at is null
            and (u.banned_until is null or u.banned_until <= pg_catalog.now())
    ) then
        perform private.fail(
            409,
            'membership.last_owner',
            'the last owner cannot leave, be suspended or change role',
            'make another member an owner first'
        );
    end if;
    return null;
end;
$$;
comment on function private.tg_memberships__keep_owner() is
'Refuses, at commit, a change that leaves an organization without an owner who can act.';

create constraint trigger tg_memberships__keep_owner
after update or delete on public.memberships
deferrable initially deferred
for each row
when (old.role = 'owner' and old.status = 'active')
execute function private.tg_memberships__keep_owner();

-- Data: permissions of this domain and the roles that hold them ------------------------------
insert into public.permissions (key, description, writes, step_up) values
('organization.read', 'See the organization and its settings', false, false),
('organization.update', 'Change the name and defaults of the organization', true, false),
('organization.security', 'Require a second factor of every member', true, true),
('organization.transfer', 'Hand the organization to another owner', true, true),
('members.read', 'See who belongs to the organization', false, false),
('members.invite', 'Invite people, see and revoke invitations', true, false),
('members.update', 'Change the role of members, suspend and reinstate them', true, false),
('members.remove', 'Remove members', true, false),
('roles.read', 'See roles and what they may do', false, false),
('roles.write', 'Create, change and delete custom roles', true, false),
('teams.read', 'See teams and who is in them', false, false),
('teams.write', 'Create, rename and delete teams and choose their members', true, false),
('api_keys.read', 'See the API keys of the organization', false, false),
('api_keys.write', 'Create and revoke API keys', true, false);
update public.permissions set members_only = true
where key in ('organization.security', 'organization.transfer');

insert into public.builtin_role_permissions (role, permission)
select r.role, p.key
from public.permissions as p
cross join (values ('owner'), ('admin'), ('manager'), ('member'), ('viewer')) as r (role)
where
    r.role = 'owner'
    or (r.role = 'admin' and p.key not in ('organization.transfer'))
    or (
        r.role = 'manager'
        and p.key in (
            'organization.read', 'members.read', 'members.invite', 'roles.read', 'teams.read',
            'teams.write'
        )
    )
    or (
        r.role in ('member', 'viewer')
        and p.key in ('organization.read', 'members.read', 'roles.read', 'teams.read')
    );
