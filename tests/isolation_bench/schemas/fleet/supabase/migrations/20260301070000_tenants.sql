-- Fleet: the tenant and the role are claims in app_metadata, written by the back office.
create schema internal;
grant usage on schema internal to authenticated;

alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke execute on functions from anon, authenticated;
alter default privileges revoke execute on functions from public;

create function internal.tenant_id()
returns uuid
language sql stable
set search_path = ''
as $$
    select nullif(auth.jwt() -> 'app_metadata' ->> 'tenant_id', '')::uuid
$$;

create function internal.app_role()
returns text
language sql stable
set search_path = ''
as $$
    select auth.jwt() -> 'app_metadata' ->> 'app_role'
$$;

grant execute on function internal.tenant_id(), internal.app_role() to authenticated;

create type public.device_state as enum ('new', 'online', 'offline', 'retired');
create domain public.serial_number as text check (value ~ '^[A-Z]{2}[0-9]{4,12}$');

create table public.tenants (
    id uuid primary key default gen_random_uuid(),
    slug text not null unique check (slug ~ '^[a-z][a-z0-9-]{1,30}$'),
    name text not null,
    plan text not null default 'basic' check (plan in ('basic', 'pro'))
);

create table public.sites (
    id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null references public.tenants (id) on delete cascade,
    name text not null,
    latitude numeric(8, 5) check (latitude between -90 and 90),
    longitude numeric(8, 5) check (longitude between -180 and 180),
    unique (tenant_id, id),
    unique (tenant_id, name)
);

create table public.devices (
    id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null references public.tenants (id) on delete cascade,
    site_id uuid,
    serial public.serial_number not null,
    state public.device_state not null default 'new',
    tags text [] not null default '{}',
    installed_on date,
    retired_on date,
    unique (tenant_id, id),
    unique (tenant_id, serial),
    check (retired_on is null or retired_on >= installed_on),
    foreign key (tenant_id, site_id)
    references public.sites (tenant_id, id) on delete set null (site_id)
);

create table public.readings (
    tenant_id uuid not null,
    device_id uuid not null,
    taken_at timestamptz not null,
    metric text not null check (metric in ('temperature', 'voltage')),
    value double precision not null,
    primary key (tenant_id, device_id, metric, taken_at),
    foreign key (tenant_id, device_id)
    references public.devices (tenant_id, id) on delete cascade
) partition by hash (tenant_id);
create table public.readings_0 partition of public.readings
for values with (modulus 2, remainder 0);
create table public.readings_1 partition of public.readings
for values with (modulus 2, remainder 1);

-- Rules without a tenant are the vendor's defaults: everybody reads them, nobody changes them.
create table public.alert_rules (
    id uuid primary key default gen_random_uuid(),
    tenant_id uuid references public.tenants (id) on delete cascade,
    name text not null,
    metric text not null check (metric in ('temperature', 'voltage')),
    above double precision,
    below double precision,
    check (num_nonnulls(above, below) >= 1),
    unique nulls not distinct (tenant_id, name)
);
insert into public.alert_rules (tenant_id, name, metric, above)
values (null, 'Overheating', 'temperature', 80);

create table public.alerts (
    id bigint generated always as identity primary key,
    tenant_id uuid not null,
    device_id uuid not null,
    rule_id uuid references public.alert_rules (id) on delete set null,
    raised_at timestamptz not null default now(),
    acknowledged_by uuid,
    acknowledged_at timestamptz,
    check ((acknowledged_by is null) = (acknowledged_at is null)),
    foreign key (tenant_id, device_id)
    references public.devices (tenant_id, id) on delete cascade
);

create table public.device_credentials (
    tenant_id uuid not null,
    device_id uuid not null,
    username text not null,
    secret text not null check (length(secret) >= 16),
    rotated_at timestamptz not null default now(),
    primary key (tenant_id, device_id),
    foreign key (tenant_id, device_id)
    references public.devices (tenant_id, id) on delete cascade
);

create table public.maintenance_windows (
    id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null references public.tenants (id) on delete cascade,
    site_id uuid not null,
    day date not null,
    note text not null default '',
    exclude using btree (tenant_id with =, site_id with =, day with =),
    foreign key (tenant_id, site_id) references public.sites (tenant_id, id) on delete cascade
);

create table public.activity_log (
    id bigint generated always as identity primary key,
    tenant_id uuid,
    actor uuid,
    verb text not null,
    thing text not null,
    logged_at timestamptz not null default now()
);
