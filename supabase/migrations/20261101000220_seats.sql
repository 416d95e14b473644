set local lock_timeout = '4s';

-- What the authorizer would answer, kept ready for ordinary members -------------------------
-- A policy asks in which organizations, and whether in whole. org_ids() looks into seven tables for
-- that, which takes longer than finding a record by its key. A seat holds the answer where the plan
-- of the statement itself can read it. docs/performance.md has the figures.
--
-- What isolates tenants does not rest on being kept up: a seat hangs on its membership by a foreign
-- key, which also carries the role and the status over, so that it ends, or no longer counts, with
-- the change itself. The rest (roles, organizations, accounts) is kept by the triggers below.
-- Whoever has no seat that answers (API keys, staff, everybody else) is asked of org_ids().

create table private.seats (
    user_id uuid not null,
    organization_id uuid not null,
    role text not null,
    status text not null,
    rated_role text not null,
    guarded boolean not null,
    rights bigint[] not null,
    banned_until timestamptz,
    constraint seats_pkey primary key (user_id, organization_id),
    constraint seats_membership_fkey
    foreign key (organization_id, user_id, role, status)
    references public.memberships (organization_id, user_id, role, status)
    on update cascade on delete cascade
);
comment on table private.seats is
'What each member may do, ready to be read inside the plan of a statement. Kept by triggers.';
comment on column private.seats.rated_role is
'The role whose rights these are; while the member has another, the seat counts for nothing.';
comment on column private.seats.guarded is
'True when it counts only for a session at aal2: the person has a second factor, or the
organization requires one.';
comment on column private.seats.rights is
'The codes of what the member may do; without those that always need aal2, unless it is guarded.';
comment on column private.seats.banned_until is 'When a ban of the account ends; null without one.';
call private.lock_down('private.seats');

-- Who has a seat, and what it says ----------------------------------------------------------
create function private.rated_seats(p_user_ids uuid[])
returns setof private.seats
language plpgsql
stable
set search_path = pg_catalog, pg_temp
-- As in org_ids(): it asks for few people, by keys, whatever the statistics say.
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
as $$
begin
    return query
        select
            m.user_id,
            m.organization_id,
            m.role,
            m.status,
            m.role as rated_role,
            o.require_mfa or f.verified as guarded,
            pg_catalog.array_agg(p.code order by p.code) as rights,
            u.banned_until
        from auth.users as u
        inner join public.memberships as m on u.id = m.user_id
        inner join public.organizations as o on m.organization_id = o.id
        cross join lateral private.role_permission_keys(m.organization_id, m.role) as k (key)
        inner join public.permissions as p on k.key = p.key
        cross join lateral (
            select exists (
                select 1
                from auth.mfa_factors as v
                where v.user_id = u.id and v.status = 'verified'
            ) as verified
        ) as f
        where
            u.id = any(p_user_ids)
            and u.deleted_at is null
            and not u.is_anonymous
            -- Every use of a grant is recorded: whoever has one is asked of org_ids().
            and not exists (select 1 from private.support_grants as g where g.agent_id = u.id)
            and m.status = 'active'
            and (o.require_mfa or f.verified or not p.step_up)
            and (o.status = 'active' or (o.status = 'closing' and not p.writes))
        group by
            m.user_id, m.organization_id, m.role, m.status, o.require_mfa, f.verified,
            u.banned_until;
end;
$$;
comment on function private.rated_seats(uuid[]) is
'What the seats of people must say, from the tables that org_ids() asks. Internal.';

create function private.stale_seats()
returns setof private.seats
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select s.*
    from private.seats as s
    except
    select r.*
    from private.rated_seats(array(select distinct s.user_id from private.seats as s)) as r
$$;
comment on function private.stale_seats() is
'The seats that say something else than they must: none. What harmonia doctor asks.';

-- Keeping them ------------------------------------------------------------------------------
-- Two changes at once that concern one seat must not each be blind to the other. So whoever changes
-- what a seat is made of takes a turn first: of the organization, where it is about the organization,
-- its roles or who is in it, and then of each person concerned. A turn is taken by writing, so that
-- at read committed the next statement sees what was waited for, and a transaction that still looks
-- at an older state of things fails (40001) instead of rating by it.
create table private.organization_turns (
    organization_id uuid not null,
    turn bigint not null,
    constraint organization_turns_pkey primary key (organization_id),
    constraint organization_turns_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade
);
comment on table private.organization_turns is
'How often the rights of members of an organization were rated anew; written to be waited for.';
call private.lock_down('private.organization_turns');

create table private.user_turns (
    user_id uuid not null,
    turn bigint not null,
    constraint user_turns_pkey primary key (user_id),
    constraint user_turns_user_id_fkey
    foreign key (user_id) references auth.users (id) on delete cascade
);
comment on table private.user_turns is
'How often the rights of a person were rated anew; written to be waited for.';
call private.lock_down('private.user_turns');

create function private.tg_first_turn()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_taken boolean;
begin
    -- Whoever takes a turn says no number; a load of data does, and the triggers of what it loads
    -- may have taken one already.
    if new.turn is null then
        new.turn := 1;
        return new;
    end if;
    execute pg_catalog.format(
        'select exists (select 1 from %1$s as t where t.%2$I = ($1).%2$I)',
        tg_relid::pg_catalog.regclass,
        tg_argv[0]
    ) into v_taken using new;
    return case when not v_taken then new end;
end;
$$;
comment on function private.tg_first_turn() is
'Counts turns from one, and leaves out what a load of data brings where one was taken already.';

create trigger tg_organization_turns__first_turn
before insert on private.organization_turns
for each row
execute function private.tg_first_turn('organization_id');

create trigger tg_user_turns__first_turn
before insert on private.user_turns
for each row
execute function private.tg_first_turn('user_id');

alter table private.organization_turns enable always trigger tg_organization_turns__first_turn;
alter table private.user_turns enable always trigger tg_user_turns__first_turn;

create function private.take_turns(p_organization_ids uuid[], p_user_ids uuid[])
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Always organizations before people, and each in one order: nobody waits in a circle.
    insert into private.organization_turns as t (organization_id)
    select o.id
    from public.organizations as o
    where o.id = any(p_organization_ids)
    order by o.id
    on conflict (organization_id) do update
    set turn = t.turn + 1;
    loop
        begin
            -- Not for an account that this transaction deletes.
            insert into private.user_turns as t (user_id)
            select u.id
            from auth.users as u
            where u.id = any(p_user_ids)
            order by u.id
            on conflict (user_id) do update
            set turn = t.turn + 1;
            return;
        exception when foreign_key_violation then
            -- An account ended while this waited for its turn. The others' are looked for again:
            -- an organization closes though somebody leaves it. An older snapshot would find the
            -- same for ever.
            if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
                raise;
            end if;
        end;
    end loop;
end;
$$;
comment on function private.take_turns(uuid[], uuid[]) is
'Serializes changes of what members may do, by organization and by person. Internal.';

create function private.rate_seats(p_user_ids uuid[])
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_seats private.seats[] := '{}';
begin
    -- To a replica the tables of Supabase Auth do not say what changes in them, nor does a load that
    -- makes itself one care for an order. So it gives no seats: org_ids() is asked meanwhile.
    if pg_catalog.current_setting('session_replication_role') <> 'replica' then
        v_seats := array(select r from private.rated_seats(p_user_ids) as r);
    end if;
    -- What stays as it is is not written: what happens in one organization touches no other's seat.
    delete from private.seats as s
    where
        s.user_id = any(p_user_ids)
        and not exists (
            select 1
            from pg_catalog.unnest(v_seats) as r
            where r.user_id = s.user_id and r.organization_id = s.organization_id
        );
    -- What tg_seats__derived lets pass.
    perform pg_catalog.set_config('harmonia.rates_seats', 'on', true);
    insert into private.seats as s
    select r.* from pg_catalog.unnest(v_seats) as r
    on conflict (user_id, organization_id) do update
    set
        role = excluded.role,
        status = excluded.status,
        rated_role = excluded.rated_role,
        guarded = excluded.guarded,
        rights = excluded.rights,
        banned_until = excluded.banned_until
    where s is distinct from excluded;
    perform pg_catalog.set_config('harmonia.rates_seats', '', true);
end;
$$;
comment on function private.rate_seats(uuid[]) is
'Writes the seats of people anew, whose turn must have been taken. Internal.';

create function private.members_of(p_organization_id uuid, p_roles text[] default null)
returns uuid[]
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select m.user_id
        from public.memberships as m
        where
            m.organization_id = p_organization_id
            and (p_roles is null or m.role = any(p_roles))
    )
$$;
comment on function private.members_of(uuid, text[]) is
'The members of an organization, in any or in some roles. Internal.';

create function private.rate_organization(p_organization_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_users uuid[];
begin
    perform private.take_turns(array[p_organization_id], '{}');
    -- Only now, with whoever joined while this waited.
    v_users := private.members_of(p_organization_id);
    perform private.take_turns('{}', v_users);
    perform private.rate_seats(v_users);
end;
$$;
comment on function private.rate_organization(uuid) is
'Writes the seats of the members of an organization anew. Internal.';

create function private.require_read_committed(p_what text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
        perform private.fail(
            409,
            'transaction.isolation',
            p_what || ' at the isolation level read committed only',
            'begin the transaction with: begin isolation level read committed'
        );
    end if;
end;
$$;
comment on function private.require_read_committed(text) is
'Refuses what must see every row there is to a transaction that looks at an older state. Internal.';

create function private.rate_all_seats()
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_users uuid[];
begin
    -- Who joined since an older snapshot would be passed over, and no turn tells of them.
    perform private.require_read_committed('what a permission is changes');
    -- Nobody joins or changes role meanwhile.
    lock table public.memberships in share row exclusive mode;
    v_users := array(select distinct m.user_id from public.memberships as m);
    perform private.take_turns('{}', v_users);
    delete from private.seats as s
    where s.user_id <> all(v_users);
    perform private.rate_seats(v_users);
end;
$$;
comment on function private.rate_all_seats() is
'Writes all seats anew: after a load without triggers, or when what a permission is changes.';

create function private.tg_memberships__take_turns()
returns trigger
language plpgsql
-- Writes past the policies what the caller may not.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'DELETE' then
        perform private.take_turns('{}', array[old.user_id]);
        return old;
    end if;
    perform private.take_turns(array[old.organization_id], array[old.user_id]);
    return new;
end;
$$;
comment on function private.tg_memberships__take_turns() is
'Waits before the foreign key locks the seat, not after.';

create trigger tg_memberships__take_turns
before update on public.memberships
for each row
when (old.role is distinct from new.role or old.status is distinct from new.status)
execute function private.tg_memberships__take_turns();

create trigger tg_memberships__take_turns_of_leavers
before delete on public.memberships
for each row
execute function private.tg_memberships__take_turns();

create function private.tg_memberships__rate_seats()
returns trigger
language plpgsql
-- Reads and writes past the policies what the caller may not.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_users uuid[];
begin
    if tg_op = 'INSERT' then
        v_users := array(select distinct c.user_id from changed as c);
        if v_users <> '{}' then
            perform private.take_turns(
                array(select distinct c.organization_id from changed as c), v_users
            );
        end if;
    elsif tg_op = 'UPDATE' then
        -- Both ends of every difference: as a replica, a session moves rows from person to person.
        v_users := array(
            select distinct coalesce(c.user_id, f.user_id)
            from changed as c
            full join former as f
                on
                    c.organization_id = f.organization_id
                    and c.user_id = f.user_id
                    and c.role = f.role
                    and c.status = f.status
            where c.user_id is null or f.user_id is null
        );
    else
        v_users := array(select distinct f.user_id from former as f);
    end if;
    if v_users <> '{}' then
        perform private.rate_seats(v_users);
    end if;
    return null;
end;
$$;
comment on function private.tg_memberships__rate_seats() is
'Keeps the seats of whoever joined, left, or changed role or status.';

create trigger tg_memberships__rate_seats
after insert on public.memberships
referencing new table as changed
for each statement
execute function private.tg_memberships__rate_seats();

create trigger tg_memberships__rate_changed_seats
after update on public.memberships
referencing old table as former new table as changed
for each statement
execute function private.tg_memberships__rate_seats();

create trigger tg_memberships__rate_seats_of_leavers
after delete on public.memberships
referencing old table as former
for each statement
execute function private.tg_memberships__rate_seats();

create function private.tg_organizations__rate_seats()
returns trigger
language plpgsql
-- Reads and writes past the policies what the caller may not.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.rate_organization(new.id);
    return null;
end;
$$;
comment on function private.tg_organizations__rate_seats() is
'Keeps the seats of an organization that begins to close, ends or asks for a second factor.';

create trigger tg_organizations__rate_seats
after update on public.organizations
for each row
when (
    old.status is distinct from new.status or old.require_mfa is distinct from new.require_mfa
)
execute function private.tg_organizations__rate_seats();

create function private.tg_role_permissions__rate_seats()
returns trigger
language plpgsql
-- Reads and writes past the policies what the caller may not.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_changed record;
    v_users uuid[] := '{}';
begin
    if not exists (select 1 from changed) then
        return null;
    end if;
    perform private.take_turns(array(select distinct c.organization_id from changed as c), '{}');
    for v_changed in
        select c.organization_id, pg_catalog.array_agg(distinct c.role) as roles
        from changed as c
        group by c.organization_id
    loop
        v_users := v_users || private.members_of(v_changed.organization_id, v_changed.roles);
    end loop;
    if v_users <> '{}' then
        perform private.take_turns('{}', v_users);
        perform private.rate_seats(v_users);
    end if;
    return null;
end;
$$;
comment on function private.tg_role_permissions__rate_seats() is
'Keeps the seats of the members of a role whose permissions change.';

create trigger tg_role_permissions__rate_seats
after insert on public.role_permissions
referencing new table as changed
for each statement
execute function private.tg_role_permissions__rate_seats();

create trigger tg_role_permissions__rate_seats_of_less
after delete on public.role_permissions
referencing old table as changed
for each statement
execute function private.tg_role_permissions__rate_seats();

-- A row of this table is inserted or deleted, never made into another one. One that stays the same
-- may be written: that is how PostgREST repeats an insert.
create trigger tg_role_permissions__immutable_keys
before update on public.role_permissions
for each row
when (old is distinct from new)
execute function private.tg_immutable_keys();

create function private.tg_rate_all_seats()
returns trigger
language plpgsql
-- Reads and writes past the policies what the caller may not. Migrations do this, and nobody else.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.rate_all_seats();
    return null;
end;
$$;
comment on function private.tg_rate_all_seats() is
'Keeps all seats when it changes what a permission is or what a built-in role may do.';

create trigger tg_permissions__rate_all_seats
after insert or update or delete on public.permissions
for each statement
execute function private.tg_rate_all_seats();

create trigger tg_builtin_role_permissions__rate_all_seats
after insert or update or delete on public.builtin_role_permissions
for each statement
execute function private.tg_rate_all_seats();

create function private.tg_rate_seats_of_account()
returns trigger
language plpgsql
-- Supabase Auth, in whose name it runs otherwise, may not read memberships.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Before and after: a factor or a grant may have passed from one account to another.
    v_users constant uuid[] := pg_catalog.array_remove(
        array[
            pg_catalog.to_jsonb(old) ->> tg_argv[0], pg_catalog.to_jsonb(new) ->> tg_argv[0]
        ],
        null
    );
begin
    perform private.take_turns('{}', v_users);
    perform private.rate_seats(v_users);
    return null;
end;
$$;
comment on function private.tg_rate_seats_of_account() is
'Keeps the seats of an account; the argument names the column that holds its id.';

create trigger tg_users__rate_seats
after update on auth.users
for each row
when (
    old.banned_until is distinct from new.banned_until
    or old.deleted_at is distinct from new.deleted_at
    or old.is_anonymous is distinct from new.is_anonymous
)
execute function private.tg_rate_seats_of_account('id');

create trigger tg_mfa_factors__rate_seats
after insert on auth.mfa_factors
for each row
when (new.status = 'verified')
execute function private.tg_rate_seats_of_account('user_id');

create trigger tg_mfa_factors__rate_changed_seats
after update on auth.mfa_factors
for each row
when (old.status is distinct from new.status or old.user_id is distinct from new.user_id)
execute function private.tg_rate_seats_of_account('user_id');

create trigger tg_mfa_factors__rate_seats_without
after delete on auth.mfa_factors
for each row
when (old.status = 'verified')
execute function private.tg_rate_seats_of_account('user_id');

create trigger tg_support_grants__rate_seats
after insert or update of agent_id or delete on private.support_grants
for each row
execute function private.tg_rate_seats_of_account('agent_id');

create function private.tg_empty_seats()
returns trigger
language plpgsql
-- Writes what the caller may not.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- TRUNCATE takes rows that an older snapshot does not see, and so must this.
    perform private.require_read_committed('roles are emptied');
    delete from private.seats as s
    where true;
    return null;
end;
$$;
comment on function private.tg_empty_seats() is
'TRUNCATE leaves no rows to look at: without seats, everybody is asked of org_ids().';

create trigger tg_role_permissions__empty_seats
after truncate on public.role_permissions
for each statement
execute function private.tg_empty_seats();

create trigger tg_builtin_role_permissions__empty_seats
after truncate on public.builtin_role_permissions
for each statement
execute function private.tg_empty_seats();

create function private.tg_seats__derived()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    return null;
end;
$$;
comment on function private.tg_seats__derived() is
'Leaves out what a load of data brings: the triggers of what it loads have made the seats already.';

create trigger tg_seats__derived
before insert on private.seats
for each row
when (pg_catalog.current_setting('harmonia.rates_seats', true) is distinct from 'on')
execute function private.tg_seats__derived();

alter table private.seats enable always trigger tg_seats__derived;

-- Also where a load has switched triggers off: it switches the foreign keys off as well. Not on
-- the tables of Supabase Auth, which belong to it.
alter table public.memberships enable always trigger tg_memberships__take_turns;
alter table public.memberships enable always trigger tg_memberships__take_turns_of_leavers;
alter table public.memberships enable always trigger tg_memberships__rate_seats;
alter table public.memberships enable always trigger tg_memberships__rate_changed_seats;
alter table public.memberships enable always trigger tg_memberships__rate_seats_of_leavers;
alter table public.organizations enable always trigger tg_organizations__rate_seats;
alter table public.role_permissions enable always trigger tg_role_permissions__rate_seats;
alter table public.role_permissions enable always trigger tg_role_permissions__rate_seats_of_less;
alter table public.role_permissions enable always trigger tg_role_permissions__immutable_keys;
alter table public.permissions enable always trigger tg_permissions__rate_all_seats;
alter table public.builtin_role_permissions
enable always trigger tg_builtin_role_permissions__rate_all_seats;
alter table private.support_grants enable always trigger tg_support_grants__rate_seats;
alter table public.role_permissions enable always trigger tg_role_permissions__empty_seats;
alter table public.builtin_role_permissions
enable always trigger tg_builtin_role_permissions__empty_seats;

-- Reading them ------------------------------------------------------------------------------
-- Two functions, though each is one expression: PostgreSQL would write auth.jwt() out wherever it is
-- named: an update, which looks seven times, then takes half as long again when planned anew.
create function private.seat_holder()
returns uuid
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    v_claims constant jsonb := auth.jwt();
begin
    return case
        when coalesce(v_claims ->> 'is_anonymous', 'false') = 'false'
            then (v_claims ->> 'sub')::uuid
    end;
end;
$$;
comment on function private.seat_holder() is
'Whose seats answer: the caller''s, and nobody''s in an anonymous session.';
grant execute on function private.seat_holder() to authenticated;

create function private.at_aal2()
returns boolean
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(auth.jwt() ->> 'aal' = 'aal2', false);
end;
$$;
comment on function private.at_aal2() is
'Whether the session has passed a second factor.';
grant execute on function private.at_aal2() to authenticated;

create view private.my_seats with (security_barrier = true) as
select
    s.organization_id,
    s.rights
from private.seats as s
where
    s.user_id = private.seat_holder()
    and s.status = 'active'
    and s.role = s.rated_role
    and (s.banned_until is null or s.banned_until <= now())
    and (not s.guarded or private.at_aal2());
comment on view private.my_seats is
'Where the caller holds what, for policies. Whoever has no seat that answers asks org_ids().';
grant select on table private.my_seats to authenticated;

-- Reaching less than a whole organization ---------------------------------------------------
create type private.team_key as (
    organization_id uuid,
    team_id uuid
);
comment on type private.team_key is
'A team. Its id alone may be that of another in another organization.';

create type private.span as (
    organization_ids uuid [],
    teams private.team_key [],
    owner_id uuid,
    owned_in uuid []
);
comment on type private.span is
'Which records of a kind the caller may use, in all organizations: all in some of them, those of
some teams, and those of one owner in some of them.';

create function private.my_span(p_permission text)
returns private.span
language plpgsql
stable
-- Reads team_members past the policies that call it.
security definer
set search_path = pg_catalog, pg_temp
-- As in org_ids(): by keys, whatever the statistics say.
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
as $$
declare
    v_span private.span;
    v_within uuid[];
begin
    v_span.organization_ids := array(select private.org_ids(p_permission));
    v_span.owner_id := auth.jwt() ->> 'sub';
    -- An API key is in no team and owns nothing: for it nothing more is looked up.
    if v_span.owner_id is null then
        return v_span;
    end if;
    v_within := array(select private.org_ids(p_permission || '_team'));
    v_span.teams := array(
        select row(t.organization_id, t.team_id)::private.team_key
        from public.team_members as t
        where t.user_id = v_span.owner_id and t.organization_id = any(v_within)
    );
    v_span.owned_in := array(select private.org_ids(p_permission || '_own'));
    return v_span;
end;
$$;
comment on function private.my_span(text) is
'How far a permission of the caller goes, in all of its reaches.';
grant execute on function private.my_span(text) to authenticated;

create function private.spans(
    p_span private.span, p_organization_id uuid, p_team_id uuid, p_owner_id uuid
)
returns boolean
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(p_organization_id = any(p_span.organization_ids), false)
        or coalesce(
            row(p_organization_id, p_team_id)::private.team_key = any(p_span.teams), false
        )
        or coalesce(
            p_owner_id = p_span.owner_id and p_organization_id = any(p_span.owned_in), false
        );
end;
$$;
comment on function private.spans(private.span, uuid, uuid, uuid) is
'Whether a record of an organization, a team and an owner is within a span.';
grant execute on function private.spans(private.span, uuid, uuid, uuid) to authenticated;
