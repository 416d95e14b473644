-- The tenant comes from a claim of the access token; there is no membership table.
create table public.workspaces (id uuid primary key default gen_random_uuid(), name text not null);
create function public.tenant() returns uuid language sql stable set search_path = '' as $$
    select nullif((select auth.jwt()) -> 'app_metadata' ->> 'workspace_id', '')::uuid
$$;
create table public.invoices (
    id uuid primary key default gen_random_uuid(),
    workspace_id uuid not null references public.workspaces (id),
    number text not null,
    amount numeric(12, 2) not null check (amount > 0),
    unique (workspace_id, number)
);
create table public.invoice_lines (
    id uuid primary key default gen_random_uuid(),
    workspace_id uuid not null,
    invoice_id uuid not null references public.invoices (id) on delete cascade,
    label text not null
);
alter table public.workspaces enable row level security;
alter table public.invoices enable row level security;
alter table public.invoice_lines enable row level security;
create policy w on public.workspaces for select to authenticated
using (id = ((select auth.jwt()) -> 'app_metadata' ->> 'workspace_id')::uuid);
create policy i on public.invoices to authenticated
using (workspace_id = ((select auth.jwt()) -> 'app_metadata' ->> 'workspace_id')::uuid);
create policy l on public.invoice_lines to authenticated
using (workspace_id = (select public.tenant()))
with check (workspace_id = (select public.tenant()) and exists (
    select 1 from public.invoices i where i.id = invoice_id and i.workspace_id = (select public.tenant())));
