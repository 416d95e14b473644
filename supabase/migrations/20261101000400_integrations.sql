set local lock_timeout = '4s';

-- Permissions -------------------------------------------------------------------------------
insert into public.permissions (key, description, writes, step_up) values
('integrations.read', 'See which integrations are connected', false, false),
('integrations.write', 'Connect, change and disconnect integrations', true, false),
('secrets.read_metadata', 'See names and state of secrets, never their values', false, false),
('secrets.write', 'Set, rotate and delete secrets', true, false),
-- Reading a value back always needs the second factor.
('secrets.reveal', 'Reveal the value of a secret', false, true),
('webhooks.read', 'See webhook endpoints and the events they received', false, false),
('webhooks.write', 'Create, change and delete webhook endpoints', true, false);
update public.permissions set members_only = true
where key = 'secrets.reveal';

insert into public.builtin_role_permissions (role, permission)
select r.role, p.key
from public.permissions as p
cross join (values ('owner'), ('admin'), ('manager'), ('member'), ('viewer')) as r (role)
where
    split_part(p.key, '.', 1) in ('integrations', 'secrets', 'webhooks')
    and (
        r.role in ('owner', 'admin')
        or (
            r.role = 'manager'
            and p.key in ('integrations.read', 'secrets.read_metadata', 'webhooks.read')
        )
        or (r.role in ('member', 'viewer') and p.key = 'integrations.read')
    );

-- The one role that reads ciphertext --------------------------------------------------------
-- A role belongs to the whole server, so another database may have made it before. It cannot
-- log in until the operator gives it a password outside of any migration.
do $$
begin
    if not exists (select 1 from pg_catalog.pg_roles as r where r.rolname = 'harmonia_vault') then
        create role harmonia_vault nologin noinherit;
    end if;
exception
    -- Another database of this server was migrated at the same moment.
    when duplicate_object or unique_violation then null;
end;
$$;
do $$
begin
    -- So that an operator's connection can drop to the vault's few rights. From PostgreSQL 16 on
    -- the creator is a member who may only administer the role, so this is never superfluous.
    execute pg_catalog.format('grant harmonia_vault to %I', current_user);
end;
$$;
comment on role harmonia_vault is
'Reads and writes sealed secrets of one organization at a time. The master key is not here.';
grant usage on schema private, public to harmonia_vault;
grant execute on function private.fail(integer, text, text, text) to harmonia_vault;
grant execute on function private.uuid_v7() to harmonia_vault;

create function private.vault_organization()
returns uuid
language sql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select nullif(pg_catalog.current_setting('harmonia.organization_id', true), '')::uuid
$$;
comment on function private.vault_organization() is
'The organization that the vault has opened in this transaction; null closes everything.';
grant execute on function private.vault_organization() to harmonia_vault;

create function private.vault_organization_status()
returns text
language sql
stable
-- The vault has no rights on organizations.
security definer
set search_path = pg_catalog, pg_temp
as $$
    select o.status from public.organizations as o where o.id = private.vault_organization()
$$;
comment on function private.vault_organization_status() is
'The status of the organization that the vault has opened.';
grant execute on function private.vault_organization_status() to harmonia_vault;

create function private.vault_authorize(
    p_organization_id uuid,
    p_permission text,
    p_claims jsonb
)
returns boolean
language plpgsql
volatile
-- The authorizer reads the claims from a setting and is closed to the vault itself.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text := pg_catalog.current_setting('request.jwt.claims', true);
    v_allowed boolean;
begin
    perform pg_catalog.set_config('request.jwt.claims', p_claims::text, true);
    v_allowed := private.has_permission(p_organization_id, p_permission);
    perform pg_catalog.set_config('request.jwt.claims', coalesce(v_before, ''), true);
    return coalesce(v_allowed, false);
end;
$$;
comment on function private.vault_authorize(uuid, text, jsonb) is
'Whether the user of a verified token holds a permission. The vault acts for that user.';
grant execute on function private.vault_authorize(uuid, text, jsonb) to harmonia_vault;

-- Integrations ------------------------------------------------------------------------------
create table public.integrations (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    provider text not null,
    name text not null,
    audience text not null,
    status text not null default 'active',
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint integrations_pkey primary key (organization_id, id),
    constraint integrations_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint integrations_created_by_fkey
    foreign key (created_by) references auth.users (id) on delete set null,
    constraint integrations_name_key unique (organization_id, name),
    constraint integrations_provider_check check (provider ~ '^[a-z][a-z0-9_-]{0,39}$'),
    constraint integrations_name_check check (
        char_length(name) between 1 and 120 and name = btrim(name)
    ),
    constraint integrations_audience_check check (
        audience ~ '^[a-z0-9\[][a-z0-9.:\[\]-]*$' and char_length(audience) <= 253
    ),
    constraint integrations_status_check check (
        status in ('active', 'needs_reauth', 'disabled')
    )
);
comment on table public.integrations is 'A connection of an organization to another service.';
comment on column public.integrations.audience is
'The host that its secrets may be sent to. They are sealed for it: a changed host opens none.';
comment on column public.integrations.status is
'needs_reauth: the provider no longer accepts the credentials.';
create index integrations_created_by_idx on public.integrations (created_by);
call private.lock_down('public.integrations');

create trigger tg_integrations__immutable_keys
before update on public.integrations
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
)
execute function private.tg_immutable_keys();

create trigger tg_integrations__touch_updated_at
before update on public.integrations
for each row
execute function private.tg_touch_updated_at();

-- Secrets: what may be shown ----------------------------------------------------------------
create table public.secrets (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    integration_id uuid,
    name text not null,
    provider text,
    kind text not null,
    audience text not null default '',
    current_version bigint not null default 0,
    hint text,
    fingerprint bytea,
    status text not null default 'active',
    expires_at timestamptz,
    last_rotated_at timestamptz,
    last_used_at timestamptz,
    created_by uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint secrets_pkey primary key (organization_id, id),
    constraint secrets_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint secrets_integration_fkey
    foreign key (organization_id, integration_id)
    references public.integrations (organization_id, id) on delete set null (integration_id),
    constraint secrets_created_by_fkey
    foreign key (created_by) references auth.users (id) on delete set null,
    constraint secrets_name_key unique (organization_id, name),
    constraint secrets_name_check check (name ~ '^[a-z0-9][a-z0-9_./-]{0,127}$'),
    constraint secrets_provider_check check (provider ~ '^[a-z][a-z0-9_-]{0,39}$'),
    constraint secrets_kind_check check (
        kind in ('api_key', 'oauth2', 'webhook', 'password', 'certificate')
    ),
    constraint secrets_audience_check check (
        audience ~ '^(?:[a-z0-9\[][a-z0-9.:\[\]-]*)?$' and char_length(audience) <= 253
    ),
    constraint secrets_current_version_check check (current_version >= 0),
    -- A few last characters help a person; more, or of anything short, would help a thief.
    constraint secrets_hint_check check (
        hint is null or (char_length(hint) <= 4 and kind = 'api_key')
    ),
    constraint secrets_fingerprint_check check (octet_length(fingerprint) = 8),
    constraint secrets_status_check check (
        status in ('active', 'expired', 'needs_reauth', 'disabled', 'shredded')
    )
);
comment on table public.secrets is
'What may be known of a secret. The value is sealed elsewhere and never leaves through the API.';
comment on column public.secrets.audience is
'The host that the current version may be sent to; empty when it is bound to none.';
comment on column public.secrets.hint is 'Last characters of a long API key, to tell it apart.';
comment on column public.secrets.fingerprint is
'Keyed: equal for equal values inside the organization, useless for guessing without its key.';
-- Partial, so that it is never chosen for anything but its foreign key.
create index secrets_integration_idx on public.secrets (organization_id, integration_id)
where integration_id is not null;
create index secrets_created_by_idx on public.secrets (created_by);
call private.lock_down('public.secrets');

create trigger tg_secrets__immutable_keys
before update on public.secrets
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
    -- The name is sealed into every version.
    or old.name is distinct from new.name
)
execute function private.tg_immutable_keys();

create trigger tg_secrets__touch_updated_at
before update on public.secrets
for each row
execute function private.tg_touch_updated_at();

create function private.tg_secrets__version_forward()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Going back to an older value is a new version with that value.
    perform private.fail(
        409,
        'secret.version_rollback',
        'the current version of a secret only moves forward',
        'use: harmonia secrets rollback'
    );
    return null;
end;
$$;
comment on function private.tg_secrets__version_forward() is
'Refuses to point a secret at an older version.';

create trigger tg_secrets__version_forward
before update on public.secrets
for each row
when (new.current_version < old.current_version)
execute function private.tg_secrets__version_forward();

-- Keys --------------------------------------------------------------------------------------
create function private.lock_keys(p_organization_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    -- Taken before anything is read: what follows sees all that the former holder did.
    select pg_catalog.pg_advisory_xact_lock(
        pg_catalog.hashtextextended(
            'harmonia.keys:' || coalesce(p_organization_id::text, 'master'), 0
        )
    )
$$;
comment on function private.lock_keys(uuid) is
'One transaction at a time makes, rotates or destroys keys of an organization; null: master keys.';
grant execute on function private.lock_keys(uuid) to harmonia_vault;

create table private.master_keys (
    id text not null,
    provider text not null,
    state text not null default 'active',
    check_value bytea not null,
    created_at timestamptz not null default now(),
    retired_at timestamptz,
    constraint master_keys_pkey primary key (id),
    constraint master_keys_id_check check (char_length(id) between 1 and 600),
    constraint master_keys_state_check check (state in ('active', 'retiring', 'retired'))
);
comment on table private.master_keys is
'Which master keys wrapped the keys of organizations. The keys themselves are not here.';
comment on column private.master_keys.check_value is
'A known value wrapped with the key: shows at once that a provider holds another key.';
create unique index master_keys_active_key on private.master_keys (state)
where state = 'active';
call private.lock_down('private.master_keys');

create table private.organization_keys (
    organization_id uuid not null,
    id uuid not null,
    generation bigint not null,
    state text not null default 'active',
    master_key_id text not null,
    wrapped bytea,
    commitment bytea not null,
    created_at timestamptz not null default now(),
    retired_at timestamptz,
    constraint organization_keys_pkey primary key (organization_id, id),
    constraint organization_keys_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint organization_keys_master_key_id_fkey
    foreign key (master_key_id) references private.master_keys (id) on delete restrict,
    constraint organization_keys_generation_key unique (organization_id, generation),
    constraint organization_keys_commitment_key unique (organization_id, commitment),
    constraint organization_keys_commitment_check check (octet_length(commitment) = 32),
    constraint organization_keys_state_check check (
        state in ('active', 'retiring', 'retired', 'shredded')
    ),
    -- A key that is done with is wiped, not only marked.
    constraint organization_keys_wrapped_check check (
        (wrapped is null) = (state in ('retired', 'shredded'))
    )
);
comment on table private.organization_keys is
'The random keys of organizations, wrapped by a master key that is not in this database.';
comment on column private.organization_keys.commitment is
'The public name of the key; every sealed value begins with it.';
create unique index organization_keys_active_key on private.organization_keys (organization_id)
where state = 'active';
create index organization_keys_master_key_id_idx on private.organization_keys (master_key_id);
call private.lock_down('private.organization_keys');

create function private.tg_organization_keys__forward()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.fail(
        409, 'secret.key_state', 'a key that was retired or destroyed does not come back'
    );
    return null;
end;
$$;
comment on function private.tg_organization_keys__forward() is
'Refuses to put an older key back into use, or to give it another identity.';

create trigger tg_organization_keys__forward
before update on private.organization_keys
for each row
when (
    (old.state <> 'active' and new.state = 'active')
    or (old.state in ('retired', 'shredded') and new.state <> old.state)
    or old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
    or old.generation is distinct from new.generation
    or old.commitment is distinct from new.commitment
)
execute function private.tg_organization_keys__forward();

create function private.tg_organization_keys__admit()
returns trigger
language plpgsql
-- Reads tables that the vault sees in part or not at all.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_state text;
begin
    -- FOR SHARE makes a change of the master key wait for this transaction, and this one see it:
    -- a key that no provider holds any more must not wrap anything new.
    select m.state
    into v_state
    from private.master_keys as m
    where m.id = new.master_key_id
    for share;
    if v_state is distinct from 'active' then
        perform private.fail(
            409, 'secret.stale_key', 'the key was wrapped by a master key that was replaced',
            'try again'
        );
    end if;
    if
        tg_op = 'INSERT'
        and exists (
            select 1
            from public.organizations as o
            where o.id = new.organization_id and o.status in ('closed', 'purged')
        )
    then
        perform private.fail(
            409, 'organization.closed', 'the organization is closed for good: it gets no new keys'
        );
    end if;
    return new;
end;
$$;
comment on function private.tg_organization_keys__admit() is
'Refuses keys under a master key that was replaced, and any for a closed organization.';

create trigger tg_organization_keys__admit_insert
before insert on private.organization_keys
for each row
execute function private.tg_organization_keys__admit();

create trigger tg_organization_keys__admit_update
before update on private.organization_keys
for each row
when (
    new.wrapped is not null
    and (
        old.wrapped is distinct from new.wrapped
        or old.master_key_id is distinct from new.master_key_id
    )
)
execute function private.tg_organization_keys__admit();

create function private.retire_master_key(p_id text)
returns boolean
language plpgsql
volatile
-- The vault sees the keys of one organization; whether a master key is in use concerns all.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Waits for whoever wraps a key under it at this moment.
    perform 1 from private.master_keys as m where m.id = p_id for update;
    if exists (
        select 1
        from private.organization_keys as k
        where k.master_key_id = p_id and k.wrapped is not null
    ) then
        return false;
    end if;
    update private.master_keys
    set state = 'retired', retired_at = pg_catalog.now()
    where id = p_id and state = 'retiring';
    return found;
end;
$$;
comment on function private.retire_master_key(text) is
'Retires a master key that was replaced, unless a key is still wrapped by it.';
grant execute on function private.retire_master_key(text) to harmonia_vault;

create table private.key_seals (
    organization_id uuid not null,
    key_id uuid not null,
    seals bigint not null,
    constraint key_seals_pkey primary key (organization_id, key_id),
    constraint key_seals_key_fkey
    foreign key (organization_id, key_id)
    references private.organization_keys (organization_id, id) on delete cascade
);
-- Not a column of the key: writers share a lock on its row, and would deadlock changing it.
comment on table private.key_seals is
'Estimates how many values a key sealed: random nonces limit that to far below 2^32.';
call private.lock_down('private.key_seals');

create function private.vault_organizations_under(p_master_key_id text)
returns setof uuid
language sql
stable
-- The vault sees one organization at a time; changing the master key needs the list.
security definer
set search_path = pg_catalog, pg_temp
as $$
    select distinct k.organization_id
    from private.organization_keys as k
    where k.master_key_id = p_master_key_id and k.wrapped is not null
    order by k.organization_id
$$;
comment on function private.vault_organizations_under(text) is
'The organizations that have keys wrapped by a master key.';
grant execute on function private.vault_organizations_under(text) to harmonia_vault;

-- Sealed values -----------------------------------------------------------------------------
create table private.secret_versions (
    organization_id uuid not null,
    secret_id uuid not null,
    version bigint not null,
    key_id uuid not null,
    kind text not null,
    audience text not null,
    state text not null default 'stored',
    envelope bytea not null,
    created_at timestamptz not null default now(),
    constraint secret_versions_pkey primary key (organization_id, secret_id, version),
    constraint secret_versions_secret_fkey
    foreign key (organization_id, secret_id)
    references public.secrets (organization_id, id) on delete cascade,
    -- A composite key, so that a version can never name the key of another organization.
    constraint secret_versions_key_fkey
    foreign key (organization_id, key_id)
    references private.organization_keys (organization_id, id) on delete cascade,
    constraint secret_versions_version_check check (version >= 1),
    constraint secret_versions_kind_check check (
        kind in ('api_key', 'oauth2', 'webhook', 'password', 'certificate')
    ),
    constraint secret_versions_state_check check (state in ('stored', 'candidate')),
    -- 64 bytes of header, nonce and tag around 1 to 65,472 bytes.
    constraint secret_versions_envelope_check check (
        octet_length(envelope) between 65 and 65536
    )
);
comment on table private.secret_versions is
'Sealed values. Bound to organization, secret, name, audience and version: moved, none opens.';
comment on column private.secret_versions.state is
'candidate: refreshed by a worker that lost its lease; kept, as it may be the only valid one.';
create index secret_versions_key_idx on private.secret_versions (organization_id, key_id);
call private.lock_down('private.secret_versions');

create function private.tg_secret_versions__active_key()
returns trigger
language plpgsql
-- Locks the key row of the organization whatever the writer has opened.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_step constant integer := 1024;
    v_key record;
begin
    -- FOR SHARE makes a rotation wait for this transaction, and this one see the rotation.
    select k.state, k.commitment, s.seals
    into v_key
    from private.organization_keys as k
    left join private.key_seals as s on k.organization_id = s.organization_id and k.id = s.key_id
    where k.organization_id = new.organization_id and k.id = new.key_id
    for share of k;
    if v_key.state is distinct from 'active' then
        perform private.fail(
            409, 'secret.stale_key', 'the value was sealed under a key that was rotated', 'try again'
        );
    end if;
    -- "HS", version, algorithm, then the name of the key: plain text can never be stored here.
    if
        pg_catalog.substring(new.envelope, 1, 4) is distinct from '\x48530101'::bytea
        or pg_catalog.substring(new.envelope, 5, 32) is distinct from v_key.commitment
    then
        perform private.fail(
            409, 'secret.wrong_key', 'the value is not sealed under the key that the row names'
        );
    end if;
    if v_key.seals > 1073741824 then
        perform private.fail(
            409,
            'secret.key_exhausted',
            'the key of the organization sealed 2^30 values',
            'run: harmonia keys rotate-organization'
        );
    end if;
    -- One in 1024 counts for all: a busy key must not have a hot row.
    if pg_catalog.random() < 1.0 / v_step then
        insert into private.key_seals as s (organization_id, key_id, seals)
        values (new.organization_id, new.key_id, v_step)
        on conflict (organization_id, key_id) do update
        set seals = s.seals + excluded.seals;
    end if;
    return new;
end;
$$;
comment on function private.tg_secret_versions__active_key() is
'Refuses values sealed under any key but the active one: no stale writer undoes a rotation.';

create trigger tg_secret_versions__active_key
before insert or update of envelope, key_id on private.secret_versions
for each row
execute function private.tg_secret_versions__active_key();

create trigger tg_secret_versions__immutable_keys
before update on private.secret_versions
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.secret_id is distinct from new.secret_id
    or old.version is distinct from new.version
    or old.kind is distinct from new.kind
    or old.audience is distinct from new.audience
)
execute function private.tg_immutable_keys();

-- Refreshing tokens -------------------------------------------------------------------------
create table private.secret_leases (
    organization_id uuid not null,
    secret_id uuid not null,
    token uuid,
    held_until timestamptz,
    failures bigint not null default 0,
    retry_at timestamptz,
    constraint secret_leases_pkey primary key (organization_id, secret_id),
    constraint secret_leases_secret_fkey
    foreign key (organization_id, secret_id)
    references public.secrets (organization_id, id) on delete cascade
);
comment on table private.secret_leases is
'Who refreshes an OAuth token now. The token fences off a worker that was too slow.';
call private.lock_down('private.secret_leases');

-- Who used what -----------------------------------------------------------------------------
create table private.secret_access (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    occurred_at timestamptz not null default clock_timestamp(),
    secret_id uuid,
    name text not null,
    version bigint,
    action text not null,
    actor text not null,
    user_id uuid,
    purpose text,
    outcome text not null,
    request_id text,
    constraint secret_access_pkey primary key (organization_id, id),
    constraint secret_access_action_check check (
        action in (
            'set', 'use', 'reveal', 'rollback', 'expire', 'disable', 'enable', 'delete', 'refresh',
            'export', 'rotate', 'shred'
        )
    ),
    constraint secret_access_actor_check check (char_length(actor) between 1 and 200),
    constraint secret_access_purpose_check check (char_length(purpose) <= 500),
    -- A reveal without a reason is no record.
    constraint secret_access_reveal_check check (
        action not in ('reveal', 'export') or char_length(purpose) >= 3
    )
);
-- No foreign keys: the record outlives the secret and the organization.
comment on table private.secret_access is
'Every use of a secret: who, why, when, with what outcome. Never a value. Append-only.';
create index secret_access_occurred_at_idx
on private.secret_access (organization_id, occurred_at);
create index secret_access_secret_id_idx
on private.secret_access (organization_id, secret_id, occurred_at);
call private.lock_down('private.secret_access');

create function private.tg_secret_access__append_only()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.fail(
        403, 'secret.access_log_is_append_only', 'the record of access to secrets does not change'
    );
    return null;
end;
$$;
comment on function private.tg_secret_access__append_only() is
'Refuses to change or empty the access log, also for its owner.';

create trigger tg_secret_access__append_only
before update or delete or truncate on private.secret_access
for each statement
execute function private.tg_secret_access__append_only();

create function private.secret_access_log(p_organization_id uuid, p_limit integer)
returns table (
    occurred_at timestamptz,
    name text,
    version bigint,
    action text,
    actor text,
    purpose text,
    outcome text
)
language plpgsql
stable
-- The log is closed to clients; this shows one organization's part to those who may see it.
security definer
set search_path = pg_catalog, pg_temp
rows 100
as $$
begin
    perform private.require(p_organization_id, 'secrets.write');
    return query
        select a.occurred_at, a.name, a.version, a.action, a.actor, a.purpose, a.outcome
        from private.secret_access as a
        where a.organization_id = p_organization_id
        order by a.occurred_at desc, a.id desc
        limit least(greatest(p_limit, 1), 1000);
end;
$$;
comment on function private.secret_access_log(uuid, integer) is
'The latest uses of secrets of one organization.';
grant execute on function private.secret_access_log(uuid, integer) to authenticated;

create function public.secret_access_log(organization_id uuid, max_rows integer default 100)
returns table (
    occurred_at timestamptz,
    name text,
    version bigint,
    action text,
    actor text,
    purpose text,
    outcome text
)
language sql
stable
set search_path = pg_catalog, pg_temp
rows 100
as $$
    select l.occurred_at, l.name, l.version, l.action, l.actor, l.purpose, l.outcome
    from private.secret_access_log(
        secret_access_log.organization_id, secret_access_log.max_rows
    ) as l
$$;
comment on function public.secret_access_log(uuid, integer) is
'Who used which secret when and why, newest first; for those who may write secrets.';
grant execute on function public.secret_access_log(uuid, integer) to authenticated;

-- Purging an organization destroys its keys -------------------------------------------------
create function private.shred_organization_keys(p_organization_id uuid)
returns bigint
language plpgsql
volatile
-- Called by the purge of an organization, whose caller has no rights on keys.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count bigint;
begin
    -- A rotation that has just made the next key must not leave it behind.
    perform private.lock_keys(p_organization_id);
    -- Without its key a secret is deleted: the question of every delete path (see the lifecycle).
    perform private.assert_deletable(p_organization_id);
    update private.organization_keys
    set state = 'shredded', wrapped = null, retired_at = pg_catalog.now()
    where organization_id = p_organization_id and wrapped is not null;
    get diagnostics v_count = row_count;
    update public.secrets
    set status = 'shredded', hint = null
    where organization_id = p_organization_id;
    return v_count;
end;
$$;
comment on function private.shred_organization_keys(uuid) is
'Destroys the keys of one organization: its secrets are unreadable from then on, backups aside.';
grant execute on function private.shred_organization_keys(uuid) to harmonia_vault;

create function private.tg_organizations__shred_keys()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.shred_organization_keys(new.id);
    return null;
end;
$$;
comment on function private.tg_organizations__shred_keys() is
'Destroys the keys of an organization in the transaction that marks it purged.';

create trigger tg_organizations__shred_keys
after update of status on public.organizations
for each row
when (new.status = 'purged' and old.status is distinct from new.status)
execute function private.tg_organizations__shred_keys();
