set local lock_timeout = '4s';

-- API keys: functions -----------------------------------------------------------------------
create function private.new_secret(p_prefix text)
returns text
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    -- 244 bits from the server's strong random source, printable anywhere.
    select p_prefix || pg_catalog.replace(
        pg_catalog.gen_random_uuid()::text || pg_catalog.gen_random_uuid()::text, '-', ''
    )
$$;
comment on function private.new_secret(text) is
'A fresh random secret with a prefix that secret scanners can recognise. Internal.';

create function private.create_api_key(
    p_organization_id uuid,
    p_name text,
    p_permissions text[],
    p_days integer
)
returns table (api_key_id uuid, api_key text, hint text, expires_at timestamptz)
language plpgsql
volatile
-- Clients may not write keys or their hashes.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id constant uuid := private.current_user_id();
    v_key constant text := private.new_secret('hk_');
    v_id uuid;
    v_expires_at timestamptz;
    v_refused text;
begin
    perform private.require(p_organization_id, 'api_keys.write');
    if p_days is null or p_days not between 1 and 366 then
        perform private.fail(
            422, 'api_key.lifetime', 'a key lives between 1 and 366 days', 'choose another number'
        );
    end if;
    if coalesce(pg_catalog.cardinality(p_permissions), 0) = 0 then
        perform private.fail(
            422, 'api_key.permissions', 'a key needs at least one permission', 'name some'
        );
    end if;
    -- One gives away only what one holds, and never what needs a second factor.
    select w.key
    into v_refused
    from pg_catalog.unnest(p_permissions) as w (key)
    left join public.permissions as p on w.key = p.key
    where
        p.key is null
        or p.step_up
        or not private.has_permission(p_organization_id, p.key)
    order by w.key
    limit 1;
    if found then
        perform private.fail(
            403,
            'api_key.permission_not_held',
            pg_catalog.format('the key cannot be given the permission %s', v_refused),
            'name only permissions you hold and that need no second factor'
        );
    end if;
    insert into public.api_keys (
        organization_id, name, hint, created_by, made_at_aal2, expires_at
    )
    values (
        p_organization_id,
        p_name,
        pg_catalog.substr(v_key, 1, 9),
        v_user_id,
        private.at_aal2(),
        pg_catalog.now() + pg_catalog.make_interval(days => p_days)
    )
    returning api_keys.id, api_keys.expires_at into v_id, v_expires_at;
    insert into public.api_key_permissions (organization_id, api_key_id, permission)
    select distinct
        p_organization_id,
        v_id,
        w.key
    from pg_catalog.unnest(p_permissions) as w (key);
    insert into private.api_key_secrets (organization_id, api_key_id, key_sha256)
    values (
        p_organization_id, v_id, pg_catalog.sha256(pg_catalog.convert_to(v_key, 'UTF8'))
    );
    return query select v_id, v_key, pg_catalog.substr(v_key, 1, 9), v_expires_at;
end;
$$;
comment on function private.create_api_key(uuid, text, text[], integer) is
'Makes an API key from permissions the caller holds. Only its hash is kept.';
grant execute on function private.create_api_key(uuid, text, text[], integer) to authenticated;

create function public.create_api_key(
    organization_id uuid,
    name text,
    permissions text[],
    days integer default 90
)
returns table (api_key_id uuid, api_key text, hint text, expires_at timestamptz)
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select * from private.create_api_key(organization_id, name, permissions, days)
$$;
comment on function public.create_api_key(uuid, text, text[], integer) is
'Makes an API key and shows it once. Needs api_keys.write and every permission it is given.';
grant execute on function public.create_api_key(uuid, text, text[], integer) to authenticated;

create function private.revoke_api_key(p_organization_id uuid, p_api_key_id uuid)
returns void
language plpgsql
volatile
-- Clients may not write keys.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.current_user_id();
    perform private.require(p_organization_id, 'api_keys.write');
    update public.api_keys as k
    set revoked_at = coalesce(k.revoked_at, pg_catalog.now())
    where k.organization_id = p_organization_id and k.id = p_api_key_id;
    if not found then
        perform private.fail(
            404, 'api_key.unknown', 'there is no such key in the organization', 'list its keys'
        );
    end if;
    delete from private.api_key_tokens as t
    where t.organization_id = p_organization_id and t.api_key_id = p_api_key_id;
end;
$$;
comment on function private.revoke_api_key(uuid, uuid) is
'Ends an API key and every token it was exchanged for, at once.';
grant execute on function private.revoke_api_key(uuid, uuid) to authenticated;

create function public.revoke_api_key(organization_id uuid, api_key_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.revoke_api_key(organization_id, api_key_id)
$$;
comment on function public.revoke_api_key(uuid, uuid) is
'Ends an API key and its tokens at once. Needs api_keys.write.';
grant execute on function public.revoke_api_key(uuid, uuid) to authenticated;

create function private.exchange_api_key(p_api_key text)
returns table (token text, expires_at timestamptz, organization_id uuid)
language plpgsql
volatile
-- The caller is nobody yet: only the key speaks for it.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key public.api_keys;
    v_token constant text := private.new_secret('ht_');
    v_expires_at timestamptz;
begin
    select k.*
    into v_key
    from private.api_key_secrets as s
    inner join public.api_keys as k
        on s.organization_id = k.organization_id and s.api_key_id = k.id
    inner join public.organizations as o on k.organization_id = o.id
    where
        s.key_sha256 = pg_catalog.sha256(
            pg_catalog.convert_to(coalesce(p_api_key, ''), 'UTF8')
        )
        and k.revoked_at is null
        and k.expires_at > pg_catalog.clock_timestamp()
        and o.status in ('active', 'closing')
        -- What a key is given it can use: its maker can act in the organization, too.
        and (
            not o.require_mfa
            or (
                k.made_at_aal2
                and exists (
                    select 1
                    from auth.mfa_factors as f
                    where f.user_id = k.created_by and f.status = 'verified'
                )
            )
        )
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
        )
    -- Whoever revokes it at this moment comes first, or after the use is on record.
    for no key update of k;
    if not found then
        perform private.fail(
            401, 'api_key.invalid', 'the API key is unknown, expired or revoked',
            'ask an administrator for a new one'
        );
    end if;
    v_expires_at := least(v_key.expires_at, pg_catalog.now() + interval '15 minutes');
    delete from private.api_key_tokens as t
    where
        t.organization_id = v_key.organization_id
        and t.api_key_id = v_key.id
        and t.expires_at <= pg_catalog.now();
    insert into private.api_key_tokens (organization_id, api_key_id, token_sha256, expires_at)
    values (
        v_key.organization_id,
        v_key.id,
        pg_catalog.sha256(pg_catalog.convert_to(v_token, 'UTF8')),
        v_expires_at
    );
    update public.api_keys as k
    set last_used_at = pg_catalog.now()
    where k.organization_id = v_key.organization_id and k.id = v_key.id;
    return query select v_token, v_expires_at, v_key.organization_id;
end;
$$;
comment on function private.exchange_api_key(text) is
'Gives a token of fifteen minutes for an API key and records that the key was used.';
grant execute on function private.exchange_api_key(text) to anon, authenticated;

create function public.exchange_api_key(api_key text)
returns table (token text, expires_at timestamptz, organization_id uuid)
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select * from private.exchange_api_key(api_key)
$$;
comment on function public.exchange_api_key(text) is
'Gives a token of fifteen minutes for an API key, to be sent as the header x-harmonia-token.';
grant execute on function public.exchange_api_key(text) to anon, authenticated;

-- Claims for the user interface -------------------------------------------------------------
create function private.custom_access_token_hook(event jsonb)
returns jsonb
language plpgsql
stable
-- Supabase Auth calls it as supabase_auth_admin, who may not read memberships.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id constant uuid := (event ->> 'user_id')::uuid;
    v_active uuid;
    v_count integer;
begin
    select pg_catalog.count(*)
    into v_count
    from public.memberships as m
    where m.user_id = v_user_id and m.status = 'active';
    -- The person's own choice while it is still theirs; never simply the latest membership.
    select s.active_organization_id
    into v_active
    from public.user_settings as s
    inner join public.memberships as m
        on s.active_organization_id = m.organization_id and s.user_id = m.user_id
    where s.user_id = v_user_id and m.status = 'active';
    return pg_catalog.jsonb_set(
        event,
        '{claims}',
        coalesce(event -> 'claims', '{}')
        || pg_catalog.jsonb_build_object(
            'active_organization_id', v_active, 'organization_count', v_count
        )
    );
end;
$$;
comment on function private.custom_access_token_hook(jsonb) is
'Adds the active organization to a token, for the user interface. No policy reads it.';
grant usage on schema private to supabase_auth_admin;
grant execute on function private.custom_access_token_hook(jsonb) to supabase_auth_admin;
