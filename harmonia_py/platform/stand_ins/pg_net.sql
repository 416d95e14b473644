-- Requests are queued and listed; nothing is sent.
create schema net;
create domain net.http_method as text check (
    value ilike 'get' or value ilike 'post' or value ilike 'delete'
);
create type net.request_status as enum ('PENDING', 'SUCCESS', 'ERROR');
create type net.http_response as (status_code integer, headers jsonb, body text);
create type net.http_response_result as (
    status net.request_status, message text, response net.http_response
);
create unlogged table net.http_request_queue (
    id bigserial not null,
    method net.http_method not null,
    url text not null,
    headers jsonb,
    body bytea,
    timeout_milliseconds integer not null
);
create unlogged table net._http_response (
    id bigint,
    status_code integer,
    content_type text,
    headers jsonb,
    content text,
    timed_out boolean,
    error_msg text,
    created timestamptz not null default now()
);
create index on net._http_response (created);

create function net._queue(
    p_method text, p_url text, p_headers jsonb, p_body bytea, p_timeout integer
)
returns bigint
language sql security definer
set search_path = ''
as $$
    insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values (p_method, p_url, p_headers, p_body, p_timeout)
    returning id
$$;
create function net.http_get(
    url text, params jsonb default '{}', headers jsonb default '{}',
    timeout_milliseconds integer default 5000
)
returns bigint language sql
as $$ select net._queue('GET', url, headers, null, timeout_milliseconds) $$;
create function net.http_post(
    url text, body jsonb default '{}', params jsonb default '{}',
    headers jsonb default '{"Content-Type": "application/json"}',
    timeout_milliseconds integer default 5000
)
returns bigint language sql
as $$
    select net._queue(
        'POST', url, headers, pg_catalog.convert_to(body::text, 'UTF8'), timeout_milliseconds
    )
$$;
create function net.http_delete(
    url text, params jsonb default '{}', headers jsonb default '{}',
    timeout_milliseconds integer default 5000, body jsonb default null
)
returns bigint language sql
as $$
    select net._queue(
        'DELETE', url, headers, pg_catalog.convert_to(body::text, 'UTF8'), timeout_milliseconds
    )
$$;
create function net._http_collect_response(request_id bigint, async boolean default true)
returns net.http_response_result language sql
as $$
    select row('PENDING', 'request is pending processing', null)::net.http_response_result
$$;
create function net.http_collect_response(request_id bigint, async boolean default true)
returns net.http_response_result language sql
as $$ select net._http_collect_response(request_id, async) $$;
create function net.check_worker_is_up() returns void language sql as $$ select $$;
create function net.worker_restart() returns boolean language sql as $$ select true $$;
create function net._urlencode_string(string varchar)
returns text language sql immutable
as $$
    select string_agg(
        case
            when c ~ '[A-Za-z0-9_.~-]' then c
            else regexp_replace(upper(encode(convert_to(c, 'UTF8'), 'hex')), '(..)', '%\1', 'g')
        end, '' order by n
    )
    from regexp_split_to_table(string, '') with ordinality as t (c, n)
$$;
grant usage on schema net
to supabase_functions_admin, postgres, anon, authenticated, service_role;
grant select on all tables in schema net to postgres, service_role;
