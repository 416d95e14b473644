set local lock_timeout = '4s';

-- Settings ----------------------------------------------------------------------------------
create table private.request_settings (
    id boolean not null default true,
    maintenance text not null default 'off',
    maintenance_message text not null default 'the service is being maintained',
    maintenance_retry_seconds bigint not null default 60,
    allowed_issuers text[],
    allowed_origins text[] not null default '{}',
    csrf_headers text[] not null default '{x-harmonia-csrf,x-client-info}',
    address_header text not null default 'x-forwarded-for',
    trusted_proxy_hops bigint not null default 1,
    max_body_bytes bigint not null default 1048576,
    max_path_bytes bigint not null default 512,
    sensitive_paths text[] not null default '{/rpc/exchange_api_key,/rpc/accept_invitation}',
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
    constraint request_settings_max_path_bytes_check check (max_path_bytes between 64 and 8192),
    -- An entry that could never match would switch its protection off without a word.
    constraint request_settings_allowed_origins_check check (
        pg_catalog.array_to_string(allowed_origins, ',', '?')
        ~ '^(?:https?://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:,(?!$)|$))*$'
    ),
    constraint request_settings_csrf_headers_check check (
        pg_catalog.array_to_string(csrf_headers, ',', '?') ~ '^[a-z0-9-]+(?:,[a-z0-9-]+)*$'
    ),
    constraint request_settings_address_header_check check (address_header ~ '^[a-z0-9-]+$'),
    constraint request_settings_sensitive_paths_check check (
        pg_catalog.array_to_string(sensitive_paths, ',', '?')
        ~ '^(?:/rpc/[a-z0-9_]+(?:,(?!$)|$))*$'
    )
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
'Which entry of the address header is believed, counted from the right; 0 counts no addresses.';
comment on column private.request_settings.sensitive_paths is
'Functions somebody could use for guessing: their rate limits are those of `sensitive`.';
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
    window_seconds bigint not null default 10,
    per_user bigint,
    per_api_key bigint,
    per_organization bigint,
    per_address bigint,
    constraint rate_limits_pkey primary key (route_class),
    constraint rate_limits_route_class_check check (
        route_class in ('read', 'write', 'rpc', 'sensitive')
    ),
    -- PostgREST closes a connection after 30 idle seconds, and its leases go with it.
    constraint rate_limits_window_seconds_check check (window_seconds between 1 and 60),
    constraint rate_limits_per_user_check check (per_user between 1 and 1000000),
    constraint rate_limits_per_api_key_check check (per_api_key between 1 and 1000000),
    constraint rate_limits_per_organization_check check (per_organization between 1 and 1000000),
    constraint rate_limits_per_address_check check (per_address between 1 and 1000000)
);
comment on table private.rate_limits is
'How many requests of a class one subject may make in a window. Null: no limit.';
call private.lock_down('private.rate_limits');
insert into private.rate_limits (
    route_class, window_seconds, per_user, per_api_key, per_organization, per_address
) values
('read', 10, 300, 600, 6000, 60),
('write', 10, 150, 300, 3000, 30),
('rpc', 10, 150, 300, 3000, 30),
('sensitive', 60, 20, 20, null, 20);

-- Counting where nothing can be written -----------------------------------------------------
-- PostgREST serves reads in READ ONLY transactions and rolls back every request that fails, so
-- a row or a sequence cannot count them. Two things survive both: a session advisory lock, which
-- all connections can see, and a prepared statement, which is private to the connection.
--
-- A limit is cut into numbered slots, each worth some requests and each an advisory lock. A
-- connection that needs credit takes a free slot and spends it by itself; what it has left is
-- remembered in a prepared statement whose text is the state. Slots are never taken twice in a
-- window, so no more than the limit is ever admitted, whatever the number of connections.
-- Slots shrink towards the end (each is an eighth of what is left), so that little is stranded
-- on connections that fell silent.
create function private.spend(p_subject text, p_limit bigint, p_window bigint)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant bigint := pg_catalog.floor(
        extract(epoch from pg_catalog.clock_timestamp())
    )::bigint;
    v_end constant bigint := (v_now / p_window + 1) * p_window;
    -- The window's end is the seed: every window has its own slots. So has every limit: slots of
    -- an old one are worth something else, and a limit just changed has to hold at once.
    v_key constant bigint := pg_catalog.hashtextextended(
        p_limit::text || ':' || p_subject, v_end
    );
    -- Sixteen registers a connection: bounded memory, and each stays small.
    v_register constant text :=
    'harmonia_rate_' || (pg_catalog.hashtextextended(p_subject, 0) & 15)::text;
    -- Per subject: key, end of window, credit left, rest of the limit not yet looked at.
    v_state bigint[];
    -- Per lock held: lock, end of window.
    v_locks bigint[];
    v_at integer;
    v_worth bigint;
begin
    begin
        execute 'execute ' || v_register into v_state, v_locks;
        execute 'deallocate ' || v_register;
    exception
        when invalid_sql_statement_name then
            v_state := '{}';
            v_locks := '{}';
    end;

    v_at := pg_catalog.array_position(v_state, v_key);
    if v_at is null then
        -- Somebody's new window: give back what belongs to windows that are over, and beyond
        -- 24 subjects forget the oldest that still has credit, so that a flood of subjects can
        -- neither fill the memory nor have it forgotten whose limit is used up.
        perform pg_catalog.pg_advisory_unlock(v_locks[e.i])
        from pg_catalog.generate_series(1, pg_catalog.cardinality(v_locks), 2) as e (i)
        where v_locks[e.i + 1] <= v_now;
        v_locks := array(
            select v_locks[e.i + f.field]
            from pg_catalog.generate_series(1, pg_catalog.cardinality(v_locks), 2) as e (i)
            cross join pg_catalog.generate_series(0, 1) as f (field)
            where v_locks[e.i + 1] > v_now
            order by e.i, f.field
        );
        v_state := array(
            select v_state[k.i + f.field]
            from (
                select e.i
                from pg_catalog.generate_series(1, pg_catalog.cardinality(v_state), 4) as e (i)
                where v_state[e.i + 1] > v_now
                order by (v_state[e.i + 2] = 0 and v_state[e.i + 3] = 0) desc, e.i desc
                limit 23
            ) as k
            cross join pg_catalog.generate_series(0, 3) as f (field)
            order by k.i, f.field
        );
        v_at := pg_catalog.cardinality(v_state) + 1;
        v_state := v_state || array[v_key, v_end, 0, p_limit];
    end if;

    -- Slots already tried are somebody's until the window ends, so the search only ever moves
    -- forward. A session would be given its own lock again: of a subject once forgotten.
    while v_state[v_at + 2] = 0 and v_state[v_at + 3] > 0 loop
        v_worth := (v_state[v_at + 3] + 7) / 8;
        if pg_catalog.array_position(v_locks, v_key # v_state[v_at + 3]) is not null then
            v_state[v_at + 2] := 0;
        elsif pg_catalog.cardinality(v_locks) >= 48 then
            -- Past 24 locks the limit holds for each connection by itself.
            v_state[v_at + 2] := v_worth;
        elsif pg_catalog.pg_try_advisory_lock(v_key # v_state[v_at + 3]) then
            v_state[v_at + 2] := v_worth;
            v_locks := v_locks || array[v_key # v_state[v_at + 3], v_end];
        end if;
        v_state[v_at + 3] := v_state[v_at + 3] - v_worth;
    end loop;

    v_worth := v_state[v_at + 2];
    v_state[v_at + 2] := greatest(v_worth - 1, 0);
    execute 'prepare ' || v_register || ' as select ''' || v_state::text || '''::bigint[], '''
    || v_locks::text || '''::bigint[]';
    return case when v_worth > 0 then 0 else v_end - v_now end;
end;
$$;
comment on function private.spend(text, bigint, bigint) is
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
set search_path = pg_catalog, pg_temp
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
create function private.client_address(p_header text, p_hops bigint)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_hops constant text[] := pg_catalog.string_to_array(p_header, ',');
    v_address text;
begin
    -- Every proxy appends whom it saw, so the trusted entry is counted from the right: all to
    -- its left is whatever the client wrote.
    if p_hops = 0 then
        return null;
    end if;
    -- Nothing where a proxy should have written: one subject of all who came around it.
    v_address := coalesce(
        pg_catalog.btrim(v_hops[pg_catalog.cardinality(v_hops) - p_hops::integer + 1]), ''
    );
    -- Some proxies add the port, and some write IPv4 as IPv6.
    v_address := pg_catalog.regexp_replace(v_address, '^([0-9.]+|\[.*\]):[0-9]{1,5}$', '\1');
    v_address := pg_catalog.btrim(v_address, '[]');
    v_address := pg_catalog.regexp_replace(v_address, '^::ffff:([0-9.]+)$', '\1', 'i');
    if v_address ~ '^[0-9]{1,3}([.][0-9]{1,3}){3}$' then
        return v_address;
    end if;
    -- One IPv6 customer has a whole /64.
    return pg_catalog.host(
        pg_catalog.network(pg_catalog.set_masklen(v_address::inet, 64))
    );
exception
    when invalid_text_representation or invalid_parameter_value then
        return 'unknown';
end;
$$;
comment on function private.client_address(text, bigint) is
'The address a trusted proxy saw, from a forwarding header; IPv6 as its /64.';

create function private.limit_requests(
    p_subject text,
    p_id text,
    p_max bigint,
    p_limits private.rate_limits
)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_wait bigint;
begin
    if p_id is null then
        return;
    end if;
    v_wait := private.spend(
        p_limits.route_class || ':' || p_subject || ':' || p_id, p_max, p_limits.window_seconds
    );
    if v_wait > 0 then
        perform private.refuse(
            429, 'rate_limit.exceeded',
            pg_catalog.format('too many requests of one %s', p_subject),
            pg_catalog.format('try again in %s seconds', v_wait),
            pg_catalog.jsonb_build_object(
                'Retry-After', v_wait::text,
                'RateLimit', pg_catalog.format('"%s";r=0;t=%s', p_subject, v_wait),
                'RateLimit-Policy', pg_catalog.format(
                    '"%s";q=%s;w=%s', p_subject, p_max, p_limits.window_seconds
                )
            )
        );
    end if;
end;
$$;
comment on function private.limit_requests(text, text, bigint, private.rate_limits) is
'Counts a request of one subject and answers 429 when it is one too many.';

create function private.api_key_claims(p_token text)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_claims jsonb;
begin
    select pg_catalog.jsonb_build_object(
        'role', 'authenticated',
        'api_key_id', k.id,
        'active_organization_id', k.organization_id,
        'aal', 'aal1'
    )
    into v_claims
    from private.api_key_tokens as t
    inner join public.api_keys as k
        on t.organization_id = k.organization_id and t.api_key_id = k.id
    where
        t.token_sha256 = pg_catalog.sha256(pg_catalog.convert_to(p_token, 'UTF8'))
        and t.expires_at > pg_catalog.clock_timestamp()
        and k.expires_at > pg_catalog.clock_timestamp()
        and k.revoked_at is null;
    return v_claims;
end;
$$;
comment on function private.api_key_claims(text) is
'The claims a short-lived token of an API key stands for; null when it stands for none.';

create function private.guard_write(
    p_headers jsonb,
    p_organization_id text,
    p_max_body_bytes bigint,
    p_allowed_origins text[],
    p_csrf_headers text[]
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_length constant text := p_headers ->> 'content-length';
    v_origin constant text := p_headers ->> 'origin';
begin
    -- A chunked body is as long as it likes, whatever length it also claims.
    if p_headers ? 'transfer-encoding' or v_length !~ '^[0-9]{1,15}$' then
        perform private.refuse(
            411, 'request.length_required', 'the body has no readable Content-Length',
            'send the length, and the body in one piece'
        );
    elsif v_length::bigint > p_max_body_bytes then
        perform private.refuse(
            413, 'request.too_large',
            pg_catalog.format('the body is over %s bytes', p_max_body_bytes),
            'send it in parts, or as a file'
        );
    end if;

    if p_headers ?| p_csrf_headers then
        return;
    end if;
    if
        -- PostgREST takes cookies out of the headers.
        coalesce(
            pg_catalog.current_setting('request.cookies', true), ''
        ) not in ('', '{}')
        or (
            v_origin is not null
            and not v_origin = any(p_allowed_origins)
            and not exists (
                select 1
                from public.allowed_origins as o
                where o.organization_id::text = p_organization_id and o.origin = v_origin
            )
        )
    then
        perform private.refuse(
            403, 'csrf.header_required',
            'a request with cookies or from a foreign origin needs the header that proves intent',
            pg_catalog.format('send the header %s', p_csrf_headers[1])
        );
    end if;
end;
$$;
comment on function private.guard_write(jsonb, text, bigint, text[], text[]) is
'Refuses a state-changing request that is too large or that another site may have forged.';

create function private.guard_request()
returns jsonb
language plpgsql
volatile
-- Reads settings, limits and accounts that no API role may read.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_role constant text := pg_catalog.current_setting('role');
    v_method constant text := pg_catalog.current_setting('request.method', true);
    v_path constant text := coalesce(pg_catalog.current_setting('request.path', true), '');
    v_sent constant text := pg_catalog.current_setting('request.headers', true);
    v_headers jsonb;
    v_claims jsonb := nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb;
    v_reads constant boolean := coalesce(v_method in ('GET', 'HEAD'), false);
    v_subject constant text := v_claims ->> 'sub';
    v_user_id uuid;
    -- Anybody can be an anonymous user, as often as they like.
    v_nobody constant boolean := v_subject is null or v_claims ->> 'is_anonymous' = 'true';
    v_granted jsonb;
    v_is_guess boolean := false;
    v_settings private.request_settings;
    v_class text;
    v_limits private.rate_limits;
begin
    -- Reading the headers costs as much as everything else together that a plain read needs.
    if not v_reads or v_nobody or v_path like '/rpc/%' then
        v_headers := nullif(v_sent, '')::jsonb;
    end if;
    if v_subject is not null then
        -- What is no id is refused by PostgreSQL's own error, which PostgREST answers with 400.
        v_user_id := v_subject::uuid;
    elsif v_headers ? 'x-harmonia-token' then
        v_granted := private.api_key_claims(v_headers ->> 'x-harmonia-token');
        v_is_guess := v_granted is null;
        v_claims := coalesce(v_granted, v_claims);
    end if;

    select * into strict v_settings from private.request_settings as s;
    if v_settings.maintenance <> 'off' and (
        (v_settings.maintenance = 'full' and v_role <> 'service_role')
        or (v_settings.maintenance = 'read_only' and not v_reads)
    ) then
        perform private.refuse(
            503, 'service.maintenance', v_settings.maintenance_message, 'try again later',
            pg_catalog.jsonb_build_object('Retry-After', v_settings.maintenance_retry_seconds::text)
        );
    end if;
    if v_role = 'service_role' and not v_is_guess then
        -- Sent together with a key's token, the token counts: it can do less.
        return v_granted;
    end if;
    if
        v_role <> 'anon'
        and v_settings.allowed_issuers is not null
        and not coalesce(v_claims ->> 'iss' = any(v_settings.allowed_issuers), false)
    then
        perform private.refuse(
            401, 'token.issuer', 'the token was not issued for this service', 'sign in again'
        );
    end if;
    if v_user_id is not null then
        perform 1
        from auth.users as u
        where
            u.id = v_user_id
            and u.deleted_at is null
            and (u.banned_until is null or u.banned_until <= pg_catalog.now());
        if not found then
            perform private.refuse(
                403, 'account.suspended', 'this account is suspended or gone',
                'ask an administrator'
            );
        end if;
    end if;

    v_class := case
        when v_is_guess or v_path = any(v_settings.sensitive_paths) then 'sensitive'
        when v_path like '/rpc/%' then 'rpc'
        when v_reads then 'read'
        else 'write'
    end;
    select * into v_limits from private.rate_limits as l where l.route_class = v_class;
    if v_limits.per_user is not null and v_user_id is not null then
        perform private.limit_requests('user', v_subject, v_limits.per_user, v_limits);
    end if;
    if v_limits.per_api_key is not null and v_claims ? 'api_key_id' then
        perform private.limit_requests(
            'api_key', v_claims ->> 'api_key_id', v_limits.per_api_key, v_limits
        );
    end if;
    if v_limits.per_organization is not null and v_claims ? 'active_organization_id' then
        perform private.limit_requests(
            'organization', v_claims ->> 'active_organization_id',
            v_limits.per_organization, v_limits
        );
    end if;
    -- Behind one address there may be a whole office of signed-in people.
    if
        v_limits.per_address is not null
        and (v_class = 'sensitive' or v_nobody and v_granted is null)
    then
        perform private.limit_requests(
            'address',
            private.client_address(
                v_headers ->> v_settings.address_header, v_settings.trusted_proxy_hops
            ),
            v_limits.per_address,
            v_limits
        );
    end if;
    if v_is_guess then
        perform private.refuse(
            401, 'api_key.token_invalid', 'the token is unknown, expired or revoked',
            'exchange the API key again'
        );
    end if;

    -- No name here needs an escape, and an escaped path would dodge the classes above. So would one
    -- without its slash, which PostgREST takes all the same.
    if
        pg_catalog.octet_length(v_path) > v_settings.max_path_bytes
        or pg_catalog.translate(v_path, '%;\', '') <> v_path
        or not pg_catalog.starts_with(v_path, '/')
    then
        perform private.refuse(
            400, 'request.path', 'the path is too long, holds an escape or begins without a slash',
            'names here are lower case letters, digits and underscores'
        );
    end if;
    if not v_reads then
        perform private.guard_write(
            v_headers,
            v_claims ->> 'active_organization_id',
            v_settings.max_body_bytes,
            v_settings.allowed_origins,
            v_settings.csrf_headers
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
set search_path = pg_catalog, pg_temp
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
