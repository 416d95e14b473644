-- Seats with a key of their own, permission sets, per-case assignment, composite references.
create type public.power as enum ('read', 'write', 'invite');
create table public.firms (
    id uuid primary key default gen_random_uuid(),
    name text not null
);
create table public.power_sets (
    firm_id uuid not null references public.firms (id) on delete cascade,
    id uuid not null default gen_random_uuid(),
    powers public.power [] not null default '{}',
    primary key (firm_id, id)
);
create table public.seats (
    id bigint generated always as identity primary key,
    firm_id uuid not null references public.firms (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    set_id uuid not null,
    active boolean not null default true,
    unique (firm_id, user_id),
    unique (firm_id, id),
    foreign key (firm_id, set_id) references public.power_sets (firm_id, id)
);
create table public.cases (
    firm_id uuid not null references public.firms (id) on delete cascade,
    id uuid not null default gen_random_uuid(),
    title text not null,
    primary key (firm_id, id)
);
create table public.assignments (
    firm_id uuid not null,
    case_id uuid not null,
    seat_id bigint not null,
    primary key (firm_id, case_id, seat_id),
    foreign key (firm_id, case_id) references public.cases (firm_id, id) on delete cascade,
    foreign key (firm_id, seat_id) references public.seats (firm_id, id) on delete cascade
);
create table public.filings (
    id bigint generated always as identity primary key,
    firm_id uuid not null,
    case_id uuid not null,
    author_seat_id bigint not null,
    body text not null,
    foreign key (firm_id, case_id) references public.cases (firm_id, id) on delete cascade,
    foreign key (firm_id, author_seat_id) references public.seats (firm_id, id)
);
create table public.calls (
    id bigint generated always as identity primary key,
    firm_id uuid not null references public.firms (id) on delete cascade,
    email text not null,
    set_id uuid not null,
    code text not null unique default gen_random_uuid()::text,
    status text not null default 'active' check (status in ('active', 'expired')),
    foreign key (firm_id, set_id) references public.power_sets (firm_id, id)
);
create table public.robots (
    id uuid primary key default gen_random_uuid(),
    firm_id uuid not null references public.firms (id) on delete cascade,
    token_hash text not null unique
);
create schema private;
grant usage on schema private to authenticated;
create function private.firms_where(needed public.power) returns setof uuid
language sql stable security definer set search_path = public as $$
    select s.firm_id from seats s
    join power_sets p on p.firm_id = s.firm_id and p.id = s.set_id
    where s.user_id = auth.uid() and s.active and needed = any (p.powers)
$$;
create function private.seat_in(firm uuid) returns bigint
language sql stable security definer set search_path = public as $$
    select s.id from seats s
    where s.firm_id = firm and s.user_id = auth.uid() and s.active
$$;
create function private.works_on(firm uuid, wanted uuid) returns boolean
language sql stable security definer set search_path = public as $$
    select exists (
        select 1 from assignments a join seats s on s.id = a.seat_id
        where a.firm_id = firm and a.case_id = wanted and s.user_id = auth.uid() and s.active)
$$;
create function public.answer_call(p_code text) returns uuid
language plpgsql volatile security definer set search_path = public as $$
declare
    c calls;
begin
    update calls set status = 'expired' where code = p_code and status = 'active'
      and email = (select u.email from auth.users u where u.id = auth.uid()) returning * into c;
    if c.id is null then
        raise exception 'no such call' using errcode = '22023';
    end if;
    insert into seats (firm_id, user_id, set_id) values (c.firm_id, auth.uid(), c.set_id);
    return c.firm_id;
end $$;
create function public.look_at_call(p_code text) returns jsonb
language plpgsql stable security definer set search_path = public as $$
declare
    found_name text;
begin
    select f.name into found_name from calls c join firms f on f.id = c.firm_id
    where c.code = p_code and c.status = 'active';
    return jsonb_build_object('active', found_name is not null, 'name', found_name);
end $$;
revoke execute on function public.answer_call(text), public.look_at_call(text) from public, anon;
grant execute on function public.answer_call(text), public.look_at_call(text) to authenticated;
alter table public.firms enable row level security;
alter table public.power_sets enable row level security;
alter table public.seats enable row level security;
alter table public.cases enable row level security;
alter table public.assignments enable row level security;
alter table public.filings enable row level security;
alter table public.calls enable row level security;
alter table public.robots enable row level security;
revoke insert, update, delete, truncate on public.firms, public.power_sets, public.seats,
public.calls from anon, authenticated;
create policy f on public.firms for select to authenticated
using (id in (select private.firms_where('read')));
create policy p on public.power_sets for select to authenticated
using (firm_id in (select private.firms_where('read')));
create policy s on public.seats for select to authenticated
using (firm_id in (select private.firms_where('read')));
create policy c on public.cases for all to authenticated
using (firm_id in (select private.firms_where('write')))
with check (firm_id in (select private.firms_where('write')));
create policy a on public.assignments for all to authenticated
using (firm_id in (select private.firms_where('write')))
with check (firm_id in (select private.firms_where('write')));
create policy r on public.filings for select to authenticated
using (private.works_on(firm_id, case_id));
create policy w on public.filings for insert to authenticated
with check (private.works_on(firm_id, case_id) and author_seat_id = private.seat_in(firm_id));
create policy u on public.filings for update to authenticated
using (author_seat_id = private.seat_in(firm_id)) with check (private.works_on(firm_id, case_id));
create policy i on public.calls for select to authenticated
using (firm_id in (select private.firms_where('invite')));
create policy t on public.robots for all to authenticated
using (firm_id in (select private.firms_where('invite')))
with check (firm_id in (select private.firms_where('invite')));
