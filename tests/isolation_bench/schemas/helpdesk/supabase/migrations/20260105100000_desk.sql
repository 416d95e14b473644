create table public.ticket_sources (
    code text primary key check (code = lower(code)),
    label text not null
);
insert into public.ticket_sources (code, label)
values ('email', 'E-mail'), ('phone', 'Telephone'), ('web', 'Web form');

create table public.customers (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.organizations (id) on delete cascade,
    name text not null check (length(name) between 1 and 200),
    email public.email_address,
    phone text check (phone ~ '^\+[0-9]{6,15}$'),
    vip boolean not null default false,
    created_at timestamptz not null default now(),
    unique (org_id, id),
    unique (org_id, email)
);

create table public.tickets (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.organizations (id) on delete cascade,
    number integer not null,
    subject text not null check (length(subject) between 1 and 300),
    status text not null default 'open' check (status in ('open', 'pending', 'solved', 'closed')),
    priority smallint not null default 2 check (priority between 1 and 4),
    source text references public.ticket_sources (code) on delete restrict,
    customer_id uuid,
    assignee_id uuid,
    subject_search tsvector generated always as (to_tsvector('simple', subject)) stored,
    opened_at timestamptz not null default now(),
    closed_at timestamptz,
    unique (org_id, id),
    unique (org_id, number),
    check (closed_at is null or closed_at >= opened_at),
    check ((status = 'closed') = (closed_at is not null)),
    foreign key (org_id, customer_id)
    references public.customers (org_id, id) on delete set null (customer_id),
    foreign key (org_id, assignee_id)
    references public.organization_members (org_id, user_id) on delete set null (assignee_id)
);

create table public.ticket_messages (
    id bigint generated always as identity primary key,
    org_id uuid not null,
    ticket_id uuid not null,
    author_id uuid default auth.uid(),
    body text not null check (body <> ''),
    internal boolean not null default false,
    created_at timestamptz not null default now(),
    foreign key (org_id, ticket_id) references public.tickets (org_id, id) on delete cascade
);

create table public.labels (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null references public.organizations (id) on delete cascade,
    name text not null,
    color text not null default '#888888' check (color ~ '^#[0-9a-f]{6}$'),
    unique (org_id, id)
);
create unique index on public.labels (org_id, lower(name));

create table public.ticket_labels (
    org_id uuid not null,
    ticket_id uuid not null,
    label_id uuid not null,
    primary key (org_id, ticket_id, label_id),
    foreign key (org_id, ticket_id) references public.tickets (org_id, id) on delete cascade,
    foreign key (org_id, label_id) references public.labels (org_id, id) on delete cascade
);

create table public.shifts (
    id uuid primary key default gen_random_uuid(),
    org_id uuid not null,
    agent_id uuid not null,
    during tstzrange not null check (not isempty(during)),
    foreign key (org_id, agent_id)
    references public.organization_members (org_id, user_id) on delete cascade,
    constraint shifts_overlap
    exclude using gist (org_id with =, agent_id with =, during with &&)
);

-- Numbers count up per organization; a client never chooses one.
create function private.number_ticket()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    select coalesce(max(t.number), 0) + 1 into new.number
    from public.tickets as t
    where t.org_id = new.org_id;
    return new;
end
$$;
create trigger number_ticket before insert on public.tickets
for each row execute function private.number_ticket();

create function private.write_audit()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    changed jsonb := to_jsonb(case when tg_op = 'DELETE' then old else new end);
begin
    insert into public.audit_log (org_id, actor_id, action, entity, entity_id)
    select o.id, auth.uid(), lower(tg_op), tg_table_name, (changed ->> 'id')::uuid
    from public.organizations as o
    where o.id = (changed ->> 'org_id')::uuid;
    return null;
end
$$;
create trigger audit after insert or update or delete on public.tickets
for each row execute function private.write_audit();
create trigger audit after insert or update or delete on public.customers
for each row execute function private.write_audit();

-- A row stays in the organization it was made in, whoever asks.
create function private.keep_org()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
    if new.org_id is distinct from old.org_id then
        raise exception 'organization cannot change' using errcode = 'PT403';
    end if;
    return new;
end
$$;
create trigger keep_org before update on public.customers
for each row execute function private.keep_org();
create trigger keep_org before update on public.tickets
for each row execute function private.keep_org();
create trigger keep_org before update on public.labels
for each row execute function private.keep_org();
create trigger keep_org before update on public.shifts
for each row execute function private.keep_org();

alter table public.ticket_sources enable row level security;
alter table public.customers enable row level security;
alter table public.tickets enable row level security;
alter table public.ticket_messages enable row level security;
alter table public.labels enable row level security;
alter table public.ticket_labels enable row level security;
alter table public.shifts enable row level security;

grant select on public.ticket_sources to authenticated;
grant select, insert, update, delete on public.customers to authenticated;
grant select, insert, update, delete on public.tickets to authenticated;
grant select, insert (org_id, ticket_id, body, internal), delete
on public.ticket_messages to authenticated;
grant select, insert, update, delete on public.labels to authenticated;
grant select, insert, delete on public.ticket_labels to authenticated;
grant select, insert, update, delete on public.shifts to authenticated;

create policy ticket_sources_select on public.ticket_sources for select to authenticated
using (true);

create policy customers_select on public.customers for select to authenticated
using (private.is_member(org_id));
create policy customers_insert on public.customers for insert to authenticated
with check (private.has_role(org_id, '{owner,admin,agent}'));
create policy customers_update on public.customers for update to authenticated
using (private.has_role(org_id, '{owner,admin,agent}'))
with check (private.has_role(org_id, '{owner,admin,agent}'));
create policy customers_delete on public.customers for delete to authenticated
using (private.has_role(org_id, '{owner,admin}'));

create policy tickets_select on public.tickets for select to authenticated
using (private.is_member(org_id));
create policy tickets_insert on public.tickets for insert to authenticated
with check (private.has_role(org_id, '{owner,admin,agent}'));
create policy tickets_update on public.tickets for update to authenticated
using (private.has_role(org_id, '{owner,admin,agent}'))
with check (private.has_role(org_id, '{owner,admin,agent}'));
create policy tickets_delete on public.tickets for delete to authenticated
using (private.has_role(org_id, '{owner,admin}'));

-- Viewers read the conversation, not the notes agents leave for each other.
create policy ticket_messages_select on public.ticket_messages for select to authenticated
using (
    private.is_member(org_id)
    and (not internal or private.has_role(org_id, '{owner,admin,agent}'))
);
create policy ticket_messages_insert on public.ticket_messages for insert to authenticated
with check (
    private.has_role(org_id, '{owner,admin,agent}')
    and author_id = (select auth.uid())
);
create policy ticket_messages_delete on public.ticket_messages for delete to authenticated
using (private.is_member(org_id) and author_id = (select auth.uid()));

create policy labels_select on public.labels for select to authenticated
using (private.is_member(org_id));
create policy labels_insert on public.labels for insert to authenticated
with check (private.has_role(org_id, '{owner,admin}'));
create policy labels_update on public.labels for update to authenticated
using (private.has_role(org_id, '{owner,admin}'))
with check (private.has_role(org_id, '{owner,admin}'));
create policy labels_delete on public.labels for delete to authenticated
using (private.has_role(org_id, '{owner,admin}'));

create policy ticket_labels_select on public.ticket_labels for select to authenticated
using (private.is_member(org_id));
create policy ticket_labels_insert on public.ticket_labels for insert to authenticated
with check (private.has_role(org_id, '{owner,admin,agent}'));
create policy ticket_labels_delete on public.ticket_labels for delete to authenticated
using (private.has_role(org_id, '{owner,admin,agent}'));

create policy shifts_select on public.shifts for select to authenticated
using (private.is_member(org_id));
create policy shifts_insert on public.shifts for insert to authenticated
with check (private.has_role(org_id, '{owner,admin}'));
create policy shifts_update on public.shifts for update to authenticated
using (private.has_role(org_id, '{owner,admin}'))
with check (private.has_role(org_id, '{owner,admin}'));
create policy shifts_delete on public.shifts for delete to authenticated
using (private.has_role(org_id, '{owner,admin}'));
