-- Everybody for themselves: no tenants, rows belong to one user.
create table public.lists (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    name text not null,
    created_at timestamptz not null default now()
);
create table public.items (
    id uuid primary key default gen_random_uuid(),
    list_id uuid not null references public.lists (id) on delete cascade,
    body text not null,
    done boolean not null default false
);
create table public.settings (
    user_id uuid primary key references auth.users (id) on delete cascade,
    theme text not null default 'light' check (theme in ('light', 'dark'))
);
create table public.countries (code char(2) primary key, name text not null);
insert into public.countries values ('DE', 'Germany'), ('FR', 'France');
alter table public.lists enable row level security;
alter table public.items enable row level security;
alter table public.settings enable row level security;
alter table public.countries enable row level security;
create policy own on public.lists for all using (auth.uid() = user_id) with check (auth.uid() = user_id);
create policy own on public.items for all
using (exists (select 1 from public.lists l where l.id = list_id and l.user_id = (select auth.uid())));
create policy own on public.settings for all using ((select auth.uid()) = user_id);
create policy everybody on public.countries for select using (true);
insert into storage.buckets (id, name) values ('own', 'own');
create policy own_files on storage.objects for all to authenticated
using (bucket_id = 'own' and (storage.foldername(name))[1] = (select auth.uid()::text))
with check (bucket_id = 'own' and (storage.foldername(name))[1] = (select auth.uid()::text));
