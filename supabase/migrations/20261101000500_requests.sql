set local lock_timeout = '4s';

-- Settings ----------------------------------------------------------------------------------
create table private.request_settings (
    id boolean not null default true,
    maintenance text not null default 'off',
    maintenance_message text not null default 'the service is being maintained',
    maintenance_retry_seconds integer not null default 60,
    allowed_issuers text [],
    allowed_origins text [] not null default '{}',
    csrf_headers text [] not null default '{x-harmonia-csrf,x-client-info}',
    address_header text not null default 'x-forwarded-for',
    trusted_proxy_hops integer not null default 1,
    max_body_bytes integer not null default 1048576,
    max_path_bytes integer not null default 512,
    constraint request_settings_pkey primary key (id),
    -- One row: the key can only be true.
    constraint request_settings_id_check check (id),
    constraint request_settings_maintenance_check check (
        maintenance in ('off', 'read_only', 'full')
    ),
    constraint request_settings_maintenance_message_check check (
        char_length(maintenance_message) between 1 and 500
    ),
    constraint request_settings_maintenance_retry_check check (
        maintenance_retry_seconds between 1 and 86400
    ),
    constraint request_settings_trusted_proxy_hops_check check (
        trusted_proxy_hops between 0 and 10
    ),
    constraint request_settings_max_body_bytes_check check (
        max_body_bytes between 1024 and 104857600
    ),
    constraint request_settings_max_path_bytes_check check (max_path_bytes between 64 and 8192)
);
comment on table private.request_settings is
'What private.pre_request() holds every request against. One row, changed by the operator.';
comment on column private.request_settings.maintenance is
'off; read_only: writes answer 503; full: everything but service_role answers 503.';
comment on column private.request_settings.allowed_issuers is
'Accepted `iss` claims; null accepts every token the server could verify.';
comment on column private.request_settings.csrf_headers is
'A browser sends one of these only after a CORS preflight, so their presence proves consent.';
comment on column private.request_settings.trusted_proxy_hops is
'Which entry of the address header is believed, counted from the right; 0 believes none.';
call private.lock_down('private.request_settings');
insert into private.request_settings (id) values (true);

create table public.allowed_origins (
    organization_id uuid not null,
    origin text not null,
    created_at timestamptz not null default now(),
    constraint allowed_origins_pkey primary key (organization_id, origin),
    constraint allowed_origins_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint allowed_origins_origin_check check (
        origin ~ '^https?://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?$'
    )
);
comment on table public.allowed_origins is
'Browser origins from which an organization lets cookie-bearing pages change its data.';
call private.lock_down('public.allowed_origins');

-- Rate limits as data -----------------------------------------------------------------------
create table private.rate_limits (
    route_class text not null,
    subject text not null,
    max_requests integer not null,
    window_seconds integer not null default 10,
    constraint rate_limits_pkey primary key (route_class, subject),
    constraint rate_limits_route_class_check check (
        route_class in ('read', 'write', 'rpc', 'sensitive')
    ),
    constraint rate_limits_subject_check check (
        subject in ('user', 'api_key', 'organization', 'address')
    ),
    constraint rate_limits_max_requests_check check (max_requests between 1 and 1000000),
    -- PostgREST closes a connection after 30 idle seconds, and its leases go with it.
    constraint rate_limits_window_seconds_check check (window_seconds between 1 and 60)
);
comment on table private.rate_limits is
'How many requests of a class one subject may make in a window. No row: no limit.';
call private.lock_down('private.rate_limits');
insert into private.rate_limits (route_class, subject, max_requests, window_seconds) values
('read', 'user', 300, 10),
('write', 'user', 150, 10),
('rpc', 'user', 150, 10),
('sensitive', 'user', 20, 60),
('read', 'api_key', 600, 10),
('write', 'api_key', 300, 10),
('rpc', 'api_key', 300, 10),
('sensitive', 'api_key', 20, 60),
('read', 'organization', 6000, 10),
('write', 'organization', 3000, 10),
('rpc', 'organization', 3000, 10),
('read', 'address', 60, 10),
('write', 'address', 30, 10),
('rpc', 'address', 30, 10),
('sensitive', 'address', 20, 60);

create table private.sensitive_paths (
    path text not null,
    constraint sensitive_paths_pkey primary key (path),
    constraint sensitive_paths_path_check check (path ~ '^/rpc/[a-z0-9_]+$')
);
comment on table private.sensitive_paths is
'Functions somebody could use for guessing: limited as the class `sensitive`.';
call private.lock_down('private.sensitive_paths');
insert into private.sensitive_paths (path) values
('/rpc/exchange_api_key'),
('/rpc/accept_invitation');

-- Counting where nothing can be written -----------------------------------------------------
-- PostgREST serves reads in READ ONLY transactions and rolls back every request that fails, so
-- a row or a sequence cannot count them. Two things survive both: a session advisory lock, which
-- all connections can see, and a prepared statement, which is private to the connection.
--
-- A limit is cut into numbered slots, each worth some requests and each an advisory lock. A
-- connection that needs credit takes a free slot and spends it by itself; what it has left is
-- remembered in a prepared statement whose text is the state. Slots are never taken twice in a
-- window, so no more than the limit is ever admitted, whatever the number of connections.
-- Slots shrink towards the end, so that little is stranded on connections that fell silent.
create function private.rate_slot(p_remaining integer)
returns integer
language sql
immutable
parallel safe
set search_path = ''
as $$
    select (p_remaining + 7) / 8
$$;
comment on function private.rate_slot(integer) is
'How many requests the next slot is worth when so many of the limit are not yet handed out.';

create function private.spend(p_subject text, p_limit integer, p_window integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_now constant integer := pg_catalog.floor(
        extract(epoch from pg_catalog.clock_timestamp())
    )::integer;
    v_end constant integer := (v_now / p_window + 1) * p_window;
    -- The window's end is the seed: every window has its own slots.
    v_key constant bigint := pg_catalog.hashtextextended(p_subject, v_end);
    -- Sixteen registers a connection: bounded memory, and each stays small.
    v_register constant text :=
    'harmonia_rate_' || (pg_catalog.hashtextextended(p_subject, 0) & 15)::text;
    v_keys bigint [];
    v_ends integer [];
    v_credits integer [];
    v_rests integer [];
    v_nexts bigint [];
    v_locks bigint [];
    v_lock_ends integer [];
    v_at integer;
    v_worth integer;
begin
    begin
        execute 'execute ' || v_register
        into v_keys, v_ends, v_credits, v_rests, v_nexts, v_locks, v_lock_ends;
        execute 'deallocate ' || v_register;
    exception
        when invalid_sql_statement_name then
            v_keys := '{}';
            v_ends := '{}';
            v_credits := '{}';
            v_rests := '{}';
            v_nexts := '{}';
            v_locks := '{}';
            v_lock_ends := '{}';
    end;

    -- Give back what belongs to windows that are over. Beyond eight subjects the one that ends
    -- first is forgotten, so that a flood of subjects cannot make the register grow.
    if v_now >= any(v_ends) or pg_catalog.cardinality(v_keys) > 8 then
        if not v_now >= any(v_ends) then
            v_ends[1] := 0;
        end if;
        select
            coalesce(pg_catalog.array_agg(x.lock order by x.ends), '{}'),
            coalesce(pg_catalog.array_agg(x.ends order by x.ends), '{}')
        into v_locks, v_lock_ends
        from pg_catalog.unnest(v_locks, v_lock_ends) as x (lock, ends)
        where
            x.ends > v_now
            or not pg_catalog.pg_advisory_unlock(x.lock);
        select
            coalesce(pg_catalog.array_agg(x.key order by x.ends), '{}'),
            coalesce(pg_catalog.array_agg(x.ends order by x.ends), '{}'),
            coalesce(pg_catalog.array_agg(x.credit order by x.ends), '{}'),
            coalesce(pg_catalog.array_agg(x.rest order by x.ends), '{}'),
            coalesce(pg_catalog.array_agg(x.next order by x.ends), '{}')
        into v_keys, v_ends, v_credits, v_rests, v_nexts
        from
            pg_catalog.unnest(v_keys, v_ends, v_credits, v_rests, v_nexts)
            as x (key, ends, credit, rest, next)
        where x.ends > v_now;
    end if;

    v_at := pg_catalog.array_position(v_keys, v_key);
    if v_at is null then
        v_at := pg_catalog.cardinality(v_keys) + 1;
        v_keys[v_at] := v_key;
        v_ends[v_at] := v_end;
        v_credits[v_at] := 0;
        v_rests[v_at] := p_limit;
        v_nexts[v_at] := v_key;
    end if;

    -- Slots already tried are somebody's until the window ends, one's own included (a session
    -- would be given its own lock again), so the search only ever moves forward.
    while v_credits[v_at] = 0 and v_rests[v_at] > 0 loop
        v_worth := private.rate_slot(v_rests[v_at]);
        if
            -- Past this many locks the limit holds for each connection by itself.
            pg_catalog.cardinality(v_locks) >= 96
            or pg_catalog.pg_try_advisory_lock(v_nexts[v_at])
        then
            v_credits[v_at] := v_worth;
            if pg_catalog.cardinality(v_locks) < 96 then
                v_locks := v_locks || v_nexts[v_at];
                v_lock_ends := v_lock_ends || v_end;
            end if;
        end if;
        v_rests[v_at] := v_rests[v_at] - v_worth;
        v_nexts[v_at] := v_nexts[v_at] + 1;
    end loop;

    v_credits[v_at] := v_credits[v_at] - 1;
    execute pg_catalog.format(
        'prepare %s as select %L::bigint[], %L::integer[], %L::integer[], %L::integer[],'
        ' %L::bigint[], %L::bigint[], %L::integer[]',
        v_register, v_keys, v_ends,
        pg_catalog.array_replace(v_credits, -1, 0), v_rests, v_nexts, v_locks, v_lock_ends
    );
    if v_credits[v_at] < 0 then
        return v_end - v_now;
    end if;
    return 0;
end;
$$;
comment on function private.spend(text, integer, integer) is
'Counts one request of a subject: 0 when it is within the limit, else seconds until it is again.';

-- Refusing ----------------------------------------------------------------------------------
create function private.refuse(
    p_status integer,
    p_code text,
    p_message text,
    p_hint text,
    p_headers jsonb default '{}'
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    -- The same body as private.fail(), with response headers, which PTnnn cannot carry.
    raise exception using
        errcode = 'PGRST',
        message = pg_catalog.jsonb_build_object(
            'code', 'PT' || p_status::text,
            'message', p_message,
            'details', p_code,
            'hint', p_hint
        )::text,
        detail = pg_catalog.jsonb_build_object('status', p_status, 'headers', p_headers)::text;
end;
$$;
comment on function private.refuse(integer, text, text, text, jsonb) is
'Refuses a request in the one error shape, with response headers.';

-- Short-lived tokens of API keys ------------------------------------------------------------
create table private.api_key_secrets (
    organization_id uuid not null,
    api_key_id uuid not null,
    key_sha256 bytea not null,
    constraint api_key_secrets_pkey primary key (organization_id, api_key_id),
    constraint api_key_secrets_api_key_fkey
    foreign key (organization_id, api_key_id)
    references public.api_keys (organization_id, id) on delete cascade,
    constraint api_key_secrets_key_sha256_key unique (key_sha256),
    constraint api_key_secrets_key_sha256_check check (octet_length(key_sha256) = 32)
);
comment on table private.api_key_secrets is
'SHA-256 of each API key. 244 random bits need no slow hash.';
call private.lock_down('private.api_key_secrets');

create table private.api_key_tokens (
    organization_id uuid not null,
    api_key_id uuid not null,
    token_sha256 bytea not null,
    expires_at timestamptz not null,
    constraint api_key_tokens_pkey primary key (organization_id, api_key_id, token_sha256),
    constraint api_key_tokens_api_key_fkey
    foreign key (organization_id, api_key_id)
    references public.api_keys (organization_id, id) on delete cascade,
    -- The token alone is presented; its organization is looked up here.
    constraint api_key_tokens_token_sha256_key unique (token_sha256),
    constraint api_key_tokens_token_sha256_check check (octet_length(token_sha256) = 32)
);
comment on table private.api_key_tokens is
'SHA-256 of the short-lived tokens that API keys were exchanged for.';
call private.lock_down('private.api_key_tokens');

-- The guard ---------------------------------------------------------------------------------
create function private.client_address(p_header text, p_hops integer)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
    v_hops constant text [] := pg_catalog.string_to_array(p_header, ',');
    v_address text;
begin
    -- Every proxy appends whom it saw, so the trusted entry is counted from the right: all to
    -- its left is whatever the client wrote.
    if p_hops = 0 or pg_catalog.cardinality(v_hops) < p_hops then
        return null;
    end if;
    v_address := pg_catalog.btrim(v_hops[pg_catalog.cardinality(v_hops) - p_hops + 1]);
    if v_address ~ '^[0-9]{1,3}([.][0-9]{1,3}){3}$' then
        return v_address;
    end if;
    -- One IPv6 customer has a whole /64.
    return pg_catalog.host(
        pg_catalog.network(pg_catalog.set_masklen(v_address::inet, 64))
    );
exception
    when invalid_text_representation then
        return 'unreadable';
end;
$$;
comment on function private.client_address(text, integer) is
'The address a trusted proxy saw, from a forwarding header; IPv6 as its /64.';

create function private.guard_request()
returns jsonb
language plpgsql
volatile
-- Reads settings, limits and accounts that no API role may read.
security definer
set search_path = ''
as $$
declare
    v_settings private.request_settings;
    v_role constant text := pg_catalog.current_setting('role', true);
    v_method constant text := coalesce(pg_catalog.current_setting('request.method', true), '');
    v_path constant text := coalesce(pg_catalog.current_setting('request.path', true), '');
    v_headers constant jsonb := coalesce(
        nullif(pg_catalog.current_setting('request.headers', true), ''), '{}'
    )::jsonb;
    v_claims jsonb := coalesce(auth.jwt(), '{}');
    v_reads constant boolean := v_method in ('GET', 'HEAD');
    v_class text;
    v_user_id uuid;
    v_api_key_id uuid;
    v_granted jsonb;
    v_limit record;
    v_wait integer;
begin
    select s.* into strict v_settings from private.request_settings as s;

    if v_settings.maintenance = 'full' and v_role is distinct from 'service_role'
        or v_settings.maintenance = 'read_only' and not v_reads
    then
        perform private.refuse(
            503, 'service.maintenance', v_settings.maintenance_message,
            'try again later',
            pg_catalog.jsonb_build_object(
                'Retry-After', v_settings.maintenance_retry_seconds::text
            )
        );
    end if;
    if v_role = 'service_role' then
        return null;
    end if;

    -- Who is it? -----------------------------------------------------------------------------
    if v_settings.allowed_issuers is not null
        and v_claims <> '{}'
        and not coalesce(v_claims ->> 'iss' = any(v_settings.allowed_issuers), false)
        and v_role is distinct from 'anon'
    then
        perform private.refuse(
            401, 'token.issuer', 'the token was not issued for this service',
            'sign in again'
        );
    end if;
    if v_claims ->> 'sub' is not null then
        if v_claims ->> 'sub' !~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then
            perform private.refuse(
                401, 'token.subject', 'the subject of the token is not a user id',
                'sign in again'
            );
        end if;
        v_user_id := (v_claims ->> 'sub')::uuid;
        if not exists (
            select 1
            from auth.users as u
            where
                u.id = v_user_id
                and u.deleted_at is null
                and (u.banned_until is null or u.banned_until <= pg_catalog.now())
        ) then
            perform private.refuse(
                403, 'account.suspended', 'this account is suspended or gone',
                'ask an administrator'
            );
        end if;
    elsif v_headers ? 'x-harmonia-token' then
        select pg_catalog.jsonb_build_object(
            'role', 'authenticated',
            'api_key_id', k.id,
            'active_organization_id', k.organization_id,
            'aal', 'aal1'
        )
        into v_granted
        from private.api_key_tokens as t
        inner join public.api_keys as k
            on t.organization_id = k.organization_id and t.api_key_id = k.id
        where
            t.token_sha256 = pg_catalog.sha256(
                pg_catalog.convert_to(v_headers ->> 'x-harmonia-token', 'UTF8')
            )
            and t.expires_at > pg_catalog.clock_timestamp()
            and k.expires_at > pg_catalog.clock_timestamp()
            and k.revoked_at is null;
        if v_granted is null then
            perform private.refuse(
                401, 'api_key.token_invalid', 'the token is unknown, expired or revoked',
                'exchange the API key again'
            );
        end if;
        v_claims := v_granted;
    end if;
    v_api_key_id := (v_claims ->> 'api_key_id')::uuid;

    -- Too many? ------------------------------------------------------------------------------
    v_class := case
        when v_path like '/rpc/%' then
            case
                when exists (select 1 from private.sensitive_paths as p where p.path = v_path)
                    then 'sensitive'
                else 'rpc'
            end
        when v_reads then 'read'
        else 'write'
    end;
    for v_limit in
        select
            l.subject,
            l.max_requests,
            l.window_seconds,
            case l.subject
                when 'user' then v_user_id::text
                when 'api_key' then v_api_key_id::text
                when 'organization' then v_claims ->> 'active_organization_id'
                -- Behind one address there may be a whole office of signed-in people.
                when 'address' then
                    case
                        when v_user_id is null and v_api_key_id is null or v_class = 'sensitive'
                            then private.client_address(
                                v_headers ->> v_settings.address_header,
                                v_settings.trusted_proxy_hops
                            )
                    end
            end as id
        from private.rate_limits as l
        where l.route_class = v_class
    loop
        continue when v_limit.id is null;
        v_wait := private.spend(
            pg_catalog.concat_ws(':', v_class, v_limit.subject, v_limit.id),
            v_limit.max_requests,
            v_limit.window_seconds
        );
        if v_wait > 0 then
            perform private.refuse(
                429, 'rate_limit.exceeded',
                pg_catalog.format('too many requests of one %s', v_limit.subject),
                pg_catalog.format('try again in %s seconds', v_wait),
                pg_catalog.jsonb_build_object(
                    'Retry-After', v_wait::text,
                    'RateLimit', pg_catalog.format('"%s";r=0;t=%s', v_limit.subject, v_wait),
                    'RateLimit-Policy', pg_catalog.format(
                        '"%s";q=%s;w=%s',
                        v_limit.subject, v_limit.max_requests, v_limit.window_seconds
                    )
                )
            );
        end if;
    end loop;

    -- Well-formed? ---------------------------------------------------------------------------
    -- No name here needs an escape, and an escaped path would dodge the classes above.
    if v_path ~ '[^a-z0-9_/.-]' or pg_catalog.octet_length(v_path) > v_settings.max_path_bytes then
        perform private.refuse(
            400, 'request.path', 'the path holds characters that no name here has', ''
        );
    end if;
    if v_reads then
        return v_granted;
    end if;
    if (v_headers ->> 'content-length') ~ '^[0-9]{1,15}$' then
        if (v_headers ->> 'content-length')::bigint > v_settings.max_body_bytes then
            perform private.refuse(
                413, 'request.too_large',
                pg_catalog.format('the body is over %s bytes', v_settings.max_body_bytes),
                'send it in parts, or as a file'
            );
        end if;
    elsif v_headers ? 'transfer-encoding' then
        perform private.refuse(
            411, 'request.length_required', 'the body has no Content-Length', 'send the length'
        );
    end if;

    -- Forged by another site? ----------------------------------------------------------------
    if (
        v_headers ? 'cookie'
        or (
            v_headers ? 'origin'
            and not v_headers ->> 'origin' = any(v_settings.allowed_origins)
            and not exists (
                select 1
                from public.allowed_origins as o
                where
                    o.organization_id::text = v_claims ->> 'active_organization_id'
                    and o.origin = v_headers ->> 'origin'
            )
        )
    )
        and not v_headers ?| v_settings.csrf_headers
    then
        perform private.refuse(
            403, 'csrf.header_required',
            'a request with cookies or from a foreign origin needs the header that proves intent',
            pg_catalog.format('send the header %s', v_settings.csrf_headers[1])
        );
    end if;
    return v_granted;
end;
$$;
comment on function private.guard_request() is
'Holds a request against maintenance, limits, size and origin; claims when a key token was sent.';
grant execute on function private.guard_request() to anon, authenticated, service_role;

create function private.pre_request()
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_granted constant jsonb := private.guard_request();
begin
    if v_granted is null then
        return;
    end if;
    -- SET ROLE is impossible inside a SECURITY DEFINER function, hence this second one.
    perform pg_catalog.set_config('request.jwt.claims', v_granted::text, true);
    set local role authenticated;
end;
$$;
comment on function private.pre_request() is
'Runs before every request of PostgREST (db-pre-request). Never what authorizes a request.';
grant execute on function private.pre_request() to anon, authenticated, service_role;
