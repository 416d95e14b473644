-- channel: default privileges
-- object: public.drafts
-- says: A new table, made while default privileges were open, never got row level security.
alter default privileges in schema public grant all on tables to anon, authenticated;
create table public.drafts (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    body text not null
);
-- exploit as alice
insert into public.drafts (body) values ('Draft of Alice');
-- exploit as mallory
select from public.drafts where user_id = :alice;
-- leaks when rows
