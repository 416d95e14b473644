-- Sales room: every policy asks `account_id in (select ... from memberships)`.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke execute on functions from anon, authenticated;
alter default privileges revoke execute on functions from public;

create table public.accounts (
    id uuid primary key default gen_random_uuid(),
    name text not null check (char_length(trim(name)) > 0),
    closed_at timestamptz,
    created_at timestamptz not null default now()
);

create table public.memberships (
    id uuid primary key default gen_random_uuid(),
    account_id uuid not null references public.accounts (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    role text not null default 'seller' check (role in ('owner', 'manager', 'seller', 'reader')),
    status text not null default 'active' check (status in ('active', 'suspended', 'left')),
    valid_until timestamptz,
    unique (account_id, user_id)
);
create index on public.memberships (user_id);

create table public.currencies (
    code char(3) primary key check (code = upper(code)),
    digits smallint not null check (digits between 0 and 4)
);
insert into public.currencies (code, digits) values ('EUR', 2), ('JPY', 0), ('USD', 2);

create table public.invitations (
    id uuid primary key default gen_random_uuid(),
    account_id uuid not null references public.accounts (id) on delete cascade,
    email text not null check (email = lower(email) and position('@' in email) > 1),
    role text not null default 'seller' check (role in ('manager', 'seller', 'reader')),
    token_hash bytea not null unique check (octet_length(token_hash) = 32),
    invited_by uuid references auth.users (id) on delete set null,
    expires_at timestamptz not null,
    used_at timestamptz
);

alter table public.accounts enable row level security;
alter table public.memberships enable row level security;
alter table public.currencies enable row level security;
alter table public.invitations enable row level security;

grant select on public.accounts to authenticated;
grant update (name) on public.accounts to authenticated;
grant select on public.memberships to authenticated;
grant select on public.currencies to anon, authenticated;
grant select (id, account_id, email, role, expires_at, used_at)
on public.invitations to authenticated;

-- One sees one's own memberships, also past ones; colleagues come from list_members().
create policy "own memberships" on public.memberships for select to authenticated
using (user_id = (select auth.uid()));

create policy "members read their account" on public.accounts for select to authenticated
using (
    id in (
        select m.account_id
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    )
);
create policy "managers rename their account" on public.accounts for update to authenticated
using (
    closed_at is null
    and id in (
        select m.account_id
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and m.role in ('owner', 'manager')
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    )
);

create policy "everybody knows currencies" on public.currencies for select
to anon, authenticated
using (true);

create policy "managers see invitations" on public.invitations for select to authenticated
using (
    account_id in (
        select m.account_id
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and m.role in ('owner', 'manager')
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    )
);

create function public.list_members(p_account uuid)
returns table (user_id uuid, role text)
language sql stable security definer
set search_path = ''
as $$
    select m.user_id, m.role
    from public.memberships as m
    where m.account_id = p_account
        and m.status = 'active'
        and exists (
            select
            from public.memberships as mine
            where mine.account_id = p_account
                and mine.user_id = auth.uid()
                and mine.status = 'active'
                and (mine.valid_until is null or mine.valid_until > now())
        )
$$;

-- Returns the token once; only its hash is kept.
create function public.invite(p_account uuid, p_email text, p_role text)
returns text
language plpgsql security definer
set search_path = ''
as $$
declare
    token text := gen_random_uuid()::text || gen_random_uuid()::text;
begin
    if not exists (
        select
        from public.memberships as m
        join public.accounts as a on a.id = m.account_id and a.closed_at is null
        where m.account_id = p_account
            and m.user_id = auth.uid()
            and m.role in ('owner', 'manager')
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    ) then
        raise exception 'not allowed' using errcode = '42501';
    end if;
    insert into public.invitations (account_id, email, role, token_hash, invited_by, expires_at)
    values (
        p_account, lower(p_email), p_role, sha256(convert_to(token, 'utf8')), auth.uid(),
        now() + interval '3 days'
    );
    return token;
end
$$;

create function public.accept_invitation(p_token text)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
    found_invitation public.invitations;
begin
    update public.invitations
    set used_at = now()
    where token_hash = sha256(convert_to(p_token, 'utf8'))
        and email = lower(auth.email())
        and used_at is null
        and expires_at > now()
    returning * into found_invitation;
    if not found or auth.uid() is null then
        raise exception 'not allowed' using errcode = '42501';
    end if;
    insert into public.memberships (account_id, user_id, role)
    values (found_invitation.account_id, auth.uid(), found_invitation.role)
    on conflict (account_id, user_id) do nothing;
end
$$;

grant execute on function
    public.list_members(uuid),
    public.invite(uuid, text, text),
    public.accept_invitation(text)
to authenticated;
