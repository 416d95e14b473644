-- One tenant table with a policy, 100 organizations with one owner each.
create schema bench;
grant usage on schema bench to authenticated;

create table bench.tenants (n integer primary key, organization_id uuid, claims text);
grant select on bench.tenants to authenticated;

insert into bench.tenants (n, organization_id, claims)
select
    n,
    gen_random_uuid(),
    json_build_object(
        'sub', gen_random_uuid(), 'role', 'authenticated', 'aal', 'aal1', 'is_anonymous', false,
        'session_id', gen_random_uuid(), 'email', 'somebody@example.org'
    )
from generate_series(1, 100) as n;

insert into auth.users (id, email, aud, role)
select (claims::json ->> 'sub')::uuid, n || '@bench.example', 'authenticated', 'authenticated'
from bench.tenants;

insert into public.organizations (id, name, slug)
select organization_id, 'Bench ' || n, 'bench-' || n from bench.tenants;

insert into public.memberships (organization_id, user_id, role)
select organization_id, (claims::json ->> 'sub')::uuid, 'owner' from bench.tenants;

create function bench.organization(p_n integer) returns uuid language sql stable
as 'select organization_id from bench.tenants where n = p_n';
create function bench.claims(p_n integer) returns text language sql stable
as 'select claims from bench.tenants where n = p_n';
grant execute on all functions in schema bench to authenticated;

create table public.bench_records (
    organization_id uuid not null references public.organizations (id),
    id uuid not null default private.uuid_v7(),
    name text not null,
    note text,
    created_at timestamptz not null default now(),
    primary key (organization_id, id)
);
create index on public.bench_records (organization_id, created_at);
alter table public.bench_records owner to postgres;
call private.lock_down('public.bench_records');
grant select, insert on public.bench_records to authenticated;
create policy select_member on public.bench_records for select to authenticated
using (organization_id = any(array(select private.org_ids('organization.read'))));
create policy insert_member on public.bench_records for insert to authenticated
with check (organization_id = any(array(select private.org_ids('organization.update'))));

call private.audit_table('public.bench_records', p_operations => '{insert}');

create function bench.set_mode(p_mode text) returns void language plpgsql
as $$
begin
    execute format(
        'alter table public.bench_records %s trigger tg_bench_records__audit_insert',
        case when p_mode = 'off' then 'disable' else 'enable always' end
    );
    execute format(
        'alter table audit.events %s trigger tg_events__link',
        case when p_mode = 'chained' then 'enable always' else 'disable' end
    );
end;
$$;
