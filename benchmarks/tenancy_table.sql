-- One table of a generated project; {n} and {parent} are replaced.
create table public.records_{n} (
    organization_id uuid not null references public.organizations (id) on delete cascade,
    id uuid not null default gen_random_uuid(),
    parent_id uuid,
    name text not null check (char_length(name) between 1 and 120),
    status text not null default 'open' check (status in ('open', 'won', 'lost')),
    amount_cents bigint not null default 0 check (amount_cents >= 0),
    starts_on date,
    ends_on date,
    created_by uuid references auth.users (id) on delete set null,
    created_at timestamptz not null default now(),
    primary key (organization_id, id),
    unique (organization_id, name),
    foreign key (organization_id, parent_id) references public.records_{parent} (organization_id, id),
    check (ends_on is null or starts_on is null or ends_on >= starts_on)
);
create index on public.records_{n} (organization_id, created_at desc, id);
alter table public.records_{n} enable row level security;
grant select, insert, update, delete on public.records_{n} to authenticated;
create policy select_member on public.records_{n} for select to authenticated
using (organization_id = any(array(select private.org_ids('{owner,admin,member,viewer}'))));
create policy insert_member on public.records_{n} for insert to authenticated
with check (organization_id = any(array(select private.org_ids('{owner,admin,member}'))));
create policy update_member on public.records_{n} for update to authenticated
using (organization_id = any(array(select private.org_ids('{owner,admin,member}'))))
with check (organization_id = any(array(select private.org_ids('{owner,admin,member}'))));
create policy delete_admin on public.records_{n} for delete to authenticated
using (organization_id = any(array(select private.org_ids('{owner,admin}'))));
