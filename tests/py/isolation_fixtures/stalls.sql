-- The token names the shop; offers are public or drafts; buyers are strangers; people talk.
create function public.my_shop() returns uuid language sql stable set search_path = '' as $$
    select nullif(auth.jwt() -> 'app_metadata' ->> 'shop', '')::uuid
$$;
create table public.shops (
    id uuid primary key default gen_random_uuid(),
    name text not null
);
create table public.offers (
    id uuid primary key default gen_random_uuid(),
    shop_id uuid not null references public.shops (id) on delete cascade,
    title text not null,
    state text not null default 'draft' check (state in ('draft', 'published'))
);
create table public.wishes (
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    offer_id uuid not null references public.offers (id) on delete cascade,
    primary key (user_id, offer_id)
);
create table public.sales (
    id uuid primary key default gen_random_uuid(),
    shop_id uuid not null references public.shops (id) on delete cascade,
    code text not null unique check (code ~ '^[A-Z]{2,6}$'),
    cents int not null
);
create table public.talks (
    id uuid primary key default gen_random_uuid(),
    offer_id uuid references public.offers (id) on delete set null
);
create table public.talkers (
    talk_id uuid not null references public.talks (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    left_at timestamptz,
    primary key (talk_id, user_id)
);
create table public.lines (
    id bigint generated always as identity primary key,
    talk_id uuid not null references public.talks (id) on delete cascade,
    sender_id uuid not null default auth.uid() references auth.users (id),
    body text not null
);
create function public.talks_in(talk uuid) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select 1 from public.talkers t
        where t.talk_id = talk and t.user_id = auth.uid() and t.left_at is null)
$$;
revoke execute on function public.talks_in(uuid) from public, anon;
grant execute on function public.talks_in(uuid) to authenticated;
create function public.find_offers(q text) returns setof public.offers
language sql stable security definer set search_path = '' as $$
    select * from public.offers where state = 'published' and title ilike '%' || q || '%'
$$;
alter table public.shops enable row level security;
alter table public.offers enable row level security;
alter table public.wishes enable row level security;
alter table public.sales enable row level security;
alter table public.talks enable row level security;
alter table public.talkers enable row level security;
alter table public.lines enable row level security;
revoke insert, update, delete on all tables in schema public from anon;
revoke insert, update, delete on public.shops, public.talks, public.talkers from authenticated;
create policy shops_listed on public.shops for select using (true);
create policy offers_public on public.offers for select using (state = 'published');
create policy offers_own on public.offers for all to authenticated
using (shop_id = (select public.my_shop())) with check (shop_id = (select public.my_shop()));
create policy wishes_own on public.wishes for all to authenticated
using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy sales_own on public.sales for all to authenticated
using (shop_id = (select public.my_shop())) with check (shop_id = (select public.my_shop()));
create policy talks_read on public.talks for select to authenticated using (public.talks_in(id));
create policy talkers_read on public.talkers for select to authenticated
using (public.talks_in(talk_id));
create policy lines_read on public.lines for select to authenticated
using (public.talks_in(talk_id));
create policy lines_add on public.lines for insert to authenticated
with check (sender_id = (select auth.uid()) and public.talks_in(talk_id));
create policy lines_edit on public.lines for update to authenticated
using (sender_id = (select auth.uid())) with check (
    sender_id = (select auth.uid()) and public.talks_in(talk_id));
create policy lines_drop on public.lines for delete to authenticated
using (sender_id = (select auth.uid()) and public.talks_in(talk_id));
insert into storage.buckets (id, name) values ('receipts', 'receipts');
create policy receipts_read on storage.objects for select to authenticated using (
    bucket_id = 'receipts' and exists (
        select 1 from public.sales s
        where s.id::text = split_part(storage.filename(objects.name), '.', 1)));
