set local lock_timeout = '4s';

-- Endpoints ---------------------------------------------------------------------------------
create table public.webhook_endpoints (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    integration_id uuid,
    secret_id uuid,
    name text not null,
    scheme text not null,
    options jsonb not null default '{}',
    tolerance_seconds bigint not null default 300,
    previous_version bigint,
    previous_until timestamptz,
    status text not null default 'active',
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint webhook_endpoints_pkey primary key (organization_id, id),
    constraint webhook_endpoints_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint webhook_endpoints_integration_fkey
    foreign key (organization_id, integration_id)
    references public.integrations (organization_id, id) on delete set null (integration_id),
    constraint webhook_endpoints_secret_fkey
    foreign key (organization_id, secret_id)
    references public.secrets (organization_id, id) on delete set null (secret_id),
    constraint webhook_endpoints_created_by_fkey
    foreign key (created_by) references auth.users (id) on delete set null,
    constraint webhook_endpoints_name_key unique (organization_id, name),
    constraint webhook_endpoints_name_check check (
        char_length(name) between 1 and 120 and name = btrim(name)
    ),
    constraint webhook_endpoints_scheme_check check (
        scheme in (
            'standard', 'stripe', 'github', 'slack', 'hubspot', 'twilio', 'calendly', 'linear',
            'meta', 'shopify', 'typeform', 'generic'
        )
    ),
    constraint webhook_endpoints_options_check check (
        jsonb_typeof(options) = 'object' and octet_length(options::text) <= 1000
    ),
    constraint webhook_endpoints_tolerance_seconds_check check (
        tolerance_seconds between 30 and 3600
    ),
    constraint webhook_endpoints_previous_check check (
        (previous_version is null) = (previous_until is null)
    ),
    constraint webhook_endpoints_status_check check (status in ('active', 'disabled'))
);
comment on table public.webhook_endpoints is
'Where another service may send events for the organization, and how it signs them.';
comment on column public.webhook_endpoints.secret_id is
'The secret whose current version verifies signatures. Without one everything is refused.';
comment on column public.webhook_endpoints.options is
'For the generic scheme: header, prefix, encoding, timestamp_header.';
comment on column public.webhook_endpoints.previous_version is
'The version that is still accepted until previous_until, while the sender changes over.';
create index webhook_endpoints_integration_idx
on public.webhook_endpoints (organization_id, integration_id);
create index webhook_endpoints_secret_idx on public.webhook_endpoints (organization_id, secret_id);
create index webhook_endpoints_created_by_idx on public.webhook_endpoints (created_by);
call private.lock_down('public.webhook_endpoints');

create trigger tg_webhook_endpoints__immutable_keys
before update on public.webhook_endpoints
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
)
execute function private.tg_immutable_keys();

create trigger tg_webhook_endpoints__touch_updated_at
before update on public.webhook_endpoints
for each row
execute function private.tg_touch_updated_at();

-- Receipts: what was already received -------------------------------------------------------
create table private.webhook_receipts (
    organization_id uuid not null,
    endpoint_id uuid not null,
    dedupe_key text not null,
    received_at timestamptz not null default now(),
    constraint webhook_receipts_pkey primary key (organization_id, endpoint_id, dedupe_key),
    constraint webhook_receipts_endpoint_fkey
    foreign key (organization_id, endpoint_id)
    references public.webhook_endpoints (organization_id, id) on delete cascade,
    constraint webhook_receipts_dedupe_key_check check (char_length(dedupe_key) between 1 and 300)
);
comment on table private.webhook_receipts is
'One row per event of an endpoint, in the transaction of the event: a replay finds it taken.';
create index webhook_receipts_received_at_idx
on private.webhook_receipts (organization_id, received_at);
call private.lock_down('private.webhook_receipts');

-- Events ------------------------------------------------------------------------------------
create table public.webhook_events (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    endpoint_id uuid,
    event_id text,
    content_type text,
    body bytea not null,
    payload jsonb,
    status text not null default 'received',
    received_at timestamptz not null default now(),
    processed_at timestamptz,
    error_code text,
    constraint webhook_events_pkey primary key (organization_id, id),
    constraint webhook_events_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint webhook_events_endpoint_fkey
    foreign key (organization_id, endpoint_id)
    references public.webhook_endpoints (organization_id, id) on delete set null (endpoint_id),
    constraint webhook_events_event_id_check check (char_length(event_id) <= 256),
    constraint webhook_events_content_type_check check (char_length(content_type) <= 200),
    constraint webhook_events_body_check check (octet_length(body) <= 1048576),
    constraint webhook_events_status_check check (
        status in ('received', 'processed', 'failed')
    ),
    constraint webhook_events_error_code_check check (char_length(error_code) <= 100)
);
comment on table public.webhook_events is 'Verified events, each stored once, as they came.';
comment on column public.webhook_events.event_id is
'The sender''s id, where it is part of what was signed.';
comment on column public.webhook_events.body is 'The raw bytes that were signed.';
comment on column public.webhook_events.payload is 'The body as JSON, when it is JSON.';
create index webhook_events_endpoint_idx
on public.webhook_events (organization_id, endpoint_id, received_at);
create index webhook_events_waiting_idx on public.webhook_events (organization_id, received_at)
where status = 'received';
call private.lock_down('public.webhook_events');

create trigger tg_webhook_events__immutable_keys
before update on public.webhook_events
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
)
execute function private.tg_immutable_keys();

create function private.forget_webhook_receipts(p_older_than interval default '30 days')
returns bigint
language plpgsql
volatile
-- Cleans up for all organizations at once.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count bigint;
begin
    -- Senders retry for days (Standard Webhooks: 75 hours); forgetting earlier invites replays.
    delete from private.webhook_receipts
    where received_at < pg_catalog.now() - greatest(p_older_than, interval '7 days');
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;
comment on function private.forget_webhook_receipts(interval) is
'Deletes receipts older than the interval, never younger than seven days.';
grant execute on function private.forget_webhook_receipts(interval) to harmonia_vault;
