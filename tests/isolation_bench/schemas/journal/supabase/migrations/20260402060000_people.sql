-- Journal: no organizations at all; every row belongs to one person, some are shared.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke execute on functions from anon, authenticated;
alter default privileges revoke execute on functions from public;

create schema private;
grant usage on schema private to authenticated;

create type public.subscription as enum ('free', 'plus');

create table public.profiles (
    id uuid primary key references auth.users (id) on delete cascade,
    display_name text not null default 'Somebody' check (length(display_name) between 1 and 60),
    contact_email text check (contact_email like '%_@_%'),
    plan public.subscription not null default 'free',
    is_staff boolean not null default false,
    birthday date check (birthday > '1900-01-01')
);

create table public.moods (
    id smallint primary key,
    name text not null unique
);
insert into public.moods (id, name) values (1, 'calm'), (2, 'curious'), (3, 'tired');

create table public.journals (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    title text not null check (title <> ''),
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    unique (user_id, id)
);

create table public.entries (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid(),
    journal_id uuid not null,
    written_on date not null default current_date,
    body text not null,
    words integer generated always as (cardinality(regexp_split_to_array(body, '\s+'))) stored,
    mood_id smallint references public.moods (id) on delete set null,
    unique (user_id, id),
    foreign key (user_id, journal_id)
    references public.journals (user_id, id) on delete cascade
);

create table public.tags (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    name text not null,
    unique (user_id, id),
    unique (user_id, name)
);

create table public.entry_tags (
    user_id uuid not null default auth.uid(),
    entry_id uuid not null,
    tag_id uuid not null,
    primary key (user_id, entry_id, tag_id),
    foreign key (user_id, entry_id) references public.entries (user_id, id) on delete cascade,
    foreign key (user_id, tag_id) references public.tags (user_id, id) on delete cascade
);

-- One version per change, written by a trigger only.
create table public.entry_versions (
    id bigint generated always as identity primary key,
    user_id uuid not null,
    entry_id uuid not null,
    body text not null,
    changed_by uuid,
    changed_at timestamptz not null default now(),
    foreign key (user_id, entry_id) references public.entries (user_id, id) on delete cascade
);

create table public.shares (
    journal_id uuid not null,
    owner_id uuid not null default auth.uid(),
    shared_with uuid not null references auth.users (id) on delete cascade,
    can_write boolean not null default false,
    expires_at timestamptz,
    revoked_at timestamptz,
    primary key (owner_id, journal_id, shared_with),
    check (owner_id <> shared_with),
    foreign key (owner_id, journal_id)
    references public.journals (user_id, id) on delete cascade
);

create table public.reminders (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    at timestamptz not null,
    every interval check (every >= interval '1 hour'),
    text text not null,
    unique (user_id, at)
);

create table public.access_tokens (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    label text not null,
    token_digest text not null check (length(token_digest) = 64)
);

create table public.feedback (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    stars smallint not null check (stars between 1 and 5),
    message text
);
