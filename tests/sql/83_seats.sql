-- What seats say is what the authorizer says, after every kind of change.
begin;
\ir helpers.psql
select no_plan();

-- Where the caller may do something: by the seats alone, and by the authorizer alone.
create function tests.seated(variadic wanted text[]) returns uuid[] language sql
as $$
    select array(
        select s.organization_id
        from private.my_seats as s
        where s.rights && private.codes(variadic wanted)
        order by 1
    )
$$;
create function tests.authorized(variadic wanted text[]) returns uuid[] language sql
as $$
    select array(select i.id from private.org_ids(variadic wanted) as i (id) order by 1)
$$;

-- Every person, with and without a second factor, and every permission in every reach. What seats
-- say and the authorizer does not is a breach. The reverse is a defect, except for a session that
-- used a factor which is gone since: what always needs one is not in seats that do not.
create function tests.disagreements() returns setof text language plpgsql
as $$
declare
    v_caller record;
    v_found text;
begin
    for v_caller in
        select
            u.id,
            u.email,
            a.aal,
            a.aal = 'aal2' and not exists (
                select 1 from auth.mfa_factors as f where f.user_id = u.id and f.status = 'verified'
            ) as outlived
        from auth.users as u
        cross join (values ('aal1'), ('aal2')) as a (aal)
    loop
        perform set_config(
            'request.jwt.claims',
            jsonb_build_object('sub', v_caller.id, 'aal', v_caller.aal)::text,
            true
        );
        return query
            select format('%s at %s, %s: %s, not %s', v_caller.email, v_caller.aal, k.wanted, s, o)
            from (
                select
                    array[p.key] as wanted,
                    p.step_up
                from public.permissions as p
                union all
                select
                    array[p.key, p.key || '_team', p.key || '_own'],
                    p.step_up
                from public.permissions as p
            ) as k,
                tests.seated(variadic k.wanted) as s,
                tests.authorized(variadic k.wanted) as o
            where
                not s <@ o
                or (s <> '{}' and s <> o and not (v_caller.outlived and k.step_up));
    end loop;
    perform set_config('request.jwt.claims', '', true);
end;
$$;

-- In how many organizations somebody has a seat that counts.
create function tests.seats_of(who text, aal text default 'aal1') returns bigint language plpgsql
as $$
declare
    v_count bigint;
begin
    perform tests.as_user(who, aal);
    select count(*) into v_count from private.my_seats;
    perform tests.as_owner();
    return v_count;
end;
$$;

-- Whether a seat of somebody says that something may be done, in any organization.
create function tests.may(who text, permission text, aal text default 'aal1')
returns boolean language plpgsql
as $$
declare
    v_may boolean;
begin
    perform tests.as_user(who, aal);
    v_may := tests.seated(permission) <> '{}';
    perform tests.as_owner();
    return v_may;
end;
$$;
grant execute on function tests.seated(text[]) to authenticated;

-- Who has one -------------------------------------------------------------------------------
select is_empty('select * from tests.disagreements()', 'seats agree at first');
select is(tests.seats_of('mika.member'), 1::bigint, 'a member has a seat');
select is(tests.seats_of('bea.both'), 2::bigint, 'and who is in two organizations has two');
select is(tests.seats_of('sten.suspended'), 0::bigint, 'who is suspended has none');
select is(tests.seats_of('nora.nobody'), 0::bigint, 'nor has who is nowhere a member');
select is(tests.may('rita.rep', 'contacts.read_own'), true, 'custom roles give rights');
select is(tests.may('rita.rep', 'contacts.read'), false, 'no more than they have');
select is_empty('select * from private.stale_seats()', 'and no seat is stale');

-- Who may look ------------------------------------------------------------------------------
select tests.as_user('mika.member');
select is(
    tests.error_of('select 1 from private.seats'), '42501', 'nobody reads the seats of others'
);
select is(
    tests.error_of('delete from private.my_seats'), '42501', 'nor changes their own'
);
select is(count(*), 1::bigint, 'one sees one''s own') from private.my_seats;
create sequence pg_temp.looks;
create function pg_temp.looked(rights bigint[]) returns boolean language plpgsql cost 0.0001
as $$ begin return nextval('pg_temp.looks') > 0; end $$;
-- By its key one would meet no other anyway.
set local enable_indexscan = off;
set local enable_bitmapscan = off;
select is(count(*), 1::bigint, 'also one who asks to be told of every row')
from private.my_seats
where pg_temp.looked(rights);
select is(last_value, 1::bigint, 'is told of no other') from pg_temp.looks;
reset enable_indexscan;
reset enable_bitmapscan;
select tests.as_owner();
select is(
    tests.error_of(
        $$
            select set_config('request.jwt.claims', '{"sub": "nobody"}', true);
            select 1 from private.my_seats
        $$
    ),
    '22P02',
    'who is no person is refused, as by the authorizer'
);
select tests.as_role('authenticated');
select is(count(*), 0::bigint, 'without a person there is no seat') from private.my_seats;
select tests.as_owner();

-- Roles -------------------------------------------------------------------------------------
update public.memberships set role = 'viewer'
where user_id = tests.person('mika.member');
select
    is(tests.may('mika.member', 'contacts.write_own'), false, 'a lower role ends rights at once');
select is(tests.may('mika.member', 'contacts.read'), true, 'and leaves those it has');
update public.memberships set role = 'member'
where user_id = tests.person('mika.member');
select is(tests.may('mika.member', 'contacts.write_own'), true, 'a higher one gives them');

-- The foreign key alone, without the trigger: what isolates tenants does not wait for it.
alter table public.memberships disable trigger tg_memberships__rate_changed_seats;
alter table public.memberships disable trigger tg_memberships__rate_seats_of_leavers;
update public.memberships set role = 'viewer'
where user_id = tests.person('mika.member');
select is(
    tests.seats_of('mika.member'), 0::bigint, 'the rights of a role one has not count for none'
);
update public.memberships set role = 'member'
where user_id = tests.person('mika.member');
select is(tests.seats_of('mika.member'), 1::bigint, 'those of one''s own do');
update public.memberships set status = 'suspended'
where user_id = tests.person('mika.member');
select is(tests.seats_of('mika.member'), 0::bigint, 'nor do those of who is suspended');
update public.memberships set status = 'active'
where user_id = tests.person('mika.member');
delete from public.memberships
where user_id = tests.person('mona.member');
select is(tests.seats_of('mona.member'), 0::bigint, 'and who is removed has none left');
alter table public.memberships enable always trigger tg_memberships__rate_changed_seats;
alter table public.memberships enable always trigger tg_memberships__rate_seats_of_leavers;
insert into public.memberships (organization_id, user_id, role)
values (tests.birch(), tests.person('mona.member'), 'member');

delete from public.role_permissions
where role = 'sales_rep' and permission = 'contacts.read_own';
select is(tests.may('rita.rep', 'contacts.read_own'), false, 'a role that may less');
insert into public.role_permissions (organization_id, role, permission)
values (tests.alder(), 'sales_rep', 'contacts.read_own');
select is(tests.may('rita.rep', 'contacts.read_own'), true, 'and one that may more');
select is(
    tests.error_of(
        $$
            update public.role_permissions set permission = 'contacts.read'
            where permission = 'contacts.read_own'
        $$
    ) is not null,
    true,
    'a permission of a role is not made into another'
);
select lives_ok(
    $$
        insert into public.role_permissions (organization_id, role, permission)
        values (tests.alder(), 'sales_rep', 'contacts.read_own')
        on conflict (organization_id, role, permission) do update set role = excluded.role
    $$,
    'but may be repeated'
);

delete from public.builtin_role_permissions
where role = 'member' and permission = 'contacts.write_own';
select is(tests.may('mika.member', 'contacts.write_own'), false, 'the same for built-in roles');
insert into public.builtin_role_permissions (role, permission) values (
    'member', 'contacts.write_own'
);
select is(tests.may('mika.member', 'contacts.write_own'), true, 'in both directions');
update public.builtin_role_permissions set role = 'viewer'
where role = 'member' and permission = 'contacts.write_own';
select is(
    tests.may('mika.member', 'contacts.write_own')
    or not tests.may('vera.viewer', 'contacts.write_own'),
    false,
    'and from role to role'
);
update public.builtin_role_permissions set role = 'member'
where role = 'viewer' and permission = 'contacts.write_own';
select is_empty('select * from tests.disagreements()', 'seats agree after roles changed');

-- Permissions -------------------------------------------------------------------------------
update public.permissions set step_up = true
where key like 'contacts.read%';
select is(tests.may('mika.member', 'contacts.read'), false, 'what needs a factor now');
update public.permissions set step_up = false
where key like 'contacts.read%';
select is(tests.may('mika.member', 'contacts.read'), true, 'and no longer');

insert into public.permissions (key, description, writes) values ('tests.try', 'Try', false);
insert into public.builtin_role_permissions (role, permission) values ('member', 'tests.try');
select is(tests.may('mika.member', 'tests.try'), true, 'a permission that is new');
delete from public.permissions
where key = 'tests.try';
select is(tests.may('mika.member', 'tests.try'), false, 'and one that is gone');
select is_empty('select * from tests.disagreements()', 'seats agree after permissions changed');

-- Members -----------------------------------------------------------------------------------
update public.memberships set status = 'suspended'
where user_id = tests.person('mika.member');
select is(tests.seats_of('mika.member'), 0::bigint, 'who is suspended has no seat');
select is(count(*), 0::bigint, 'nor a row of one') from private.seats
where status <> 'active';
update public.memberships set status = 'active'
where user_id = tests.person('mika.member');
select is(tests.seats_of('mika.member'), 1::bigint, 'who is reinstated has one');
update public.memberships set status = 'active'
where user_id = tests.person('sten.suspended');
select is(tests.seats_of('sten.suspended'), 1::bigint, 'also who had none before');

delete from public.memberships
where user_id = tests.person('mika.member');
select is(tests.seats_of('mika.member'), 0::bigint, 'who is removed has none');
insert into public.memberships (organization_id, user_id, role)
values
(tests.alder(), tests.person('mika.member'), 'member'),
(tests.alder(), tests.person('nora.nobody'), 'viewer');
select is(
    tests.seats_of('mika.member') + tests.seats_of('nora.nobody'),
    2::bigint,
    'who joins has one, and so has who joins with them'
);

insert into public.memberships (organization_id, user_id, role)
values
(tests.alder(), tests.person('mika.member'), 'viewer'),
(tests.birch(), tests.person('nora.nobody'), 'viewer')
on conflict (organization_id, user_id) do update set role = excluded.role;
select is(
    array[
        tests.may('mika.member', 'contacts.write_own')::text, tests.seats_of('nora.nobody')::text
    ],
    array['false', '2'],
    'a statement that inserts or updates does both'
);
merge into public.memberships as m
using (
    values
    (tests.alder(), tests.person('mika.member'), 'member'),
    (tests.birch(), tests.person('mika.member'), 'viewer'),
    (tests.birch(), tests.person('nora.nobody'), null)
) as n (organization_id, user_id, role)
    on m.organization_id = n.organization_id and m.user_id = n.user_id
when matched and n.role is null then delete
when matched then update set role = n.role
when not matched then
    insert (organization_id, user_id, role) values (n.organization_id, n.user_id, n.role);
select is(
    array[
        tests.may('mika.member', 'contacts.write_own')::text,
        tests.seats_of('mika.member')::text,
        tests.seats_of('nora.nobody')::text
    ],
    array['true', '2', '1'],
    'and one that merges does all three'
);
select is_empty('select * from tests.disagreements()', 'seats agree after members changed');

select is(
    tests.error_of(
        $$delete from public.memberships where user_id = tests.person('mika.member')$$
    ),
    null,
    'one who goes and stays after all'
);
select is(tests.seats_of('mika.member'), 2::bigint, 'has the seats of before');

-- Organizations -----------------------------------------------------------------------------
update public.organizations set status = 'closing'
where id = tests.alder();
select is(tests.may('vera.viewer', 'contacts.read'), true, 'one that closes is read');
select is(tests.may('adam.admin', 'contacts.write'), false, 'and not written');
update public.organizations set status = 'active'
where id = tests.alder();
select is(tests.may('adam.admin', 'contacts.write'), true, 'one that is open again is');
update public.organizations set status = 'closed'
where id = tests.alder();
select is(tests.seats_of('adam.admin'), 0::bigint, 'one that is closed has no seats');
select is(tests.seats_of('bea.both'), 1::bigint, 'and takes none from another');
update public.organizations set status = 'active'
where id = tests.alder();

update public.organizations set require_mfa = true
where id = tests.alder();
select is(tests.seats_of('adam.admin'), 0::bigint, 'one that requires a factor');
select is(tests.seats_of('bea.both'), 1::bigint, 'only there');
select is(tests.seats_of('adam.admin', 'aal2'), 1::bigint, 'lets in with it');
select is(tests.may('adam.admin', 'organization.security', 'aal2'), true, 'to everything');
select is_empty('select * from tests.disagreements()', 'seats agree while a factor is required');
update public.organizations set require_mfa = false
where id = tests.alder();
select is(tests.seats_of('adam.admin'), 1::bigint, 'until it requires it no longer');

insert into private.legal_holds (organization_id, reason, placed_by)
values (tests.alder(), 'A court wants to see everything', 'tests');
delete from public.memberships
where user_id = tests.person('mika.member');
select is(tests.seats_of('mika.member'), 0::bigint, 'a legal hold keeps nobody in');
update auth.users set deleted_at = now()
where id = tests.person('vera.viewer');
select is(tests.seats_of('vera.viewer'), 0::bigint, 'and hinders no account from its end');
update auth.users set deleted_at = null
where id = tests.person('vera.viewer');
update private.legal_holds
set released_at = now(), released_by = 'tests', release_reason = 'The court has seen it';
insert into public.memberships (organization_id, user_id, role)
values (tests.alder(), tests.person('mika.member'), 'member');
select is_empty('select * from tests.disagreements()', 'seats agree after organizations changed');

-- Accounts ----------------------------------------------------------------------------------
update auth.users set banned_until = now() + '1 hour'
where id = tests.person('mika.member');
select is(tests.seats_of('mika.member'), 0::bigint, 'who is banned has no seat that counts');
update auth.users set banned_until = now()
where id = tests.person('mika.member');
select is(tests.seats_of('mika.member'), 1::bigint, 'until the ban ends');
update auth.users set banned_until = null
where id = tests.person('mika.member');
select is(tests.seats_of('mika.member'), 1::bigint, 'or is lifted');

update auth.users set is_anonymous = true
where id = tests.person('mika.member');
select is(tests.seats_of('mika.member'), 0::bigint, 'who did not say who they are has none');
update auth.users set is_anonymous = false
where id = tests.person('mika.member');
select is(tests.seats_of('mika.member'), 1::bigint, 'until they say it');

insert into auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at)
values (
    'f0000000-0000-4000-8000-000000000001', tests.person('mika.member'), 'totp', 'unverified',
    now(), now()
);
select private.rate_all_seats();
select is(tests.seats_of('mika.member'), 1::bigint, 'a factor that was not shown asks for nothing');
update auth.mfa_factors set status = 'verified'
where user_id = tests.person('mika.member');
select is(tests.seats_of('mika.member'), 0::bigint, 'one that was is asked for');
select is(tests.seats_of('mika.member', 'aal2'), 1::bigint, 'and suffices');
select is_empty('select * from tests.disagreements()', 'seats agree with a factor');
update auth.mfa_factors set user_id = tests.person('vera.viewer');
select is(tests.seats_of('vera.viewer'), 0::bigint, 'whoever gets it is asked');
select is(tests.seats_of('mika.member'), 1::bigint, 'whoever gave it no more');
delete from auth.mfa_factors
where user_id = tests.person('vera.viewer');
select is(tests.seats_of('vera.viewer'), 1::bigint, 'one that is gone is asked for no longer');
insert into auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at)
values (
    'f0000000-0000-4000-8000-000000000002', tests.person('vera.viewer'), 'totp', 'verified',
    now(), now()
);
select is(tests.seats_of('vera.viewer'), 0::bigint, 'one that comes verified is asked for at once');
delete from auth.mfa_factors
where user_id = tests.person('vera.viewer');
select is_empty('select * from tests.disagreements()', 'seats agree after accounts changed');

delete from auth.users
where id = tests.person('vera.viewer');
select is(
    (
        select count(*) from private.seats as s
        where s.user_id = tests.person('vera.viewer')
    ),
    0::bigint,
    'an account takes its seats along'
);

-- Staff -------------------------------------------------------------------------------------
insert into private.support_grants (
    organization_id, agent_id, permission, reason, approved_by, expires_at
)
values (
    tests.birch(), tests.person('mika.member'), 'contacts.read', 'A reason long enough',
    tests.person('otto.owner'), now() + '1 hour'
);
select is(tests.seats_of('mika.member', 'aal2'), 0::bigint, 'who has a grant has no seat');
select tests.as_user('mika.member', 'aal2');
select isnt(count(*), 0::bigint, 'and is asked of the authorizer, which records it')
from public.contacts
where organization_id = tests.birch();
select tests.as_owner();
select isnt(count(*), 0::bigint, 'each time')
from audit.events as e
where e.action = 'support.access' and e.actor_id = tests.person('mika.member');
update private.support_grants set agent_id = tests.person('adam.admin');
select is(tests.seats_of('mika.member'), 1::bigint, 'who hands it on has one');
select is(tests.seats_of('adam.admin'), 0::bigint, 'whoever takes it has none');
delete from private.support_grants;
select is(tests.seats_of('adam.admin'), 1::bigint, 'and has one once no grant is left');
select is_empty('select * from tests.disagreements()', 'seats agree after grants');

-- Teams -------------------------------------------------------------------------------------
-- Ids are unique in one organization only: an import brings those it had.
insert into public.memberships (organization_id, user_id, role)
values (tests.birch(), tests.person('rita.rep'), 'sales_rep');
insert into public.role_permissions (organization_id, role, permission)
values
(tests.birch(), 'sales_rep', 'contacts.read_own'),
(tests.birch(), 'sales_rep', 'contacts.read_team')
on conflict do nothing;
insert into public.teams (organization_id, id, name)
values
(tests.alder(), 'd0000000-0000-7000-8000-000000000009', 'Twin'),
(tests.birch(), 'd0000000-0000-7000-8000-000000000009', 'Twin');
insert into public.team_members (organization_id, team_id, user_id)
values (tests.alder(), 'd0000000-0000-7000-8000-000000000009', tests.person('rita.rep'));
insert into public.contacts (organization_id, first_name, team_id)
values
(tests.alder(), 'Twin', 'd0000000-0000-7000-8000-000000000009'),
(tests.birch(), 'Twin', 'd0000000-0000-7000-8000-000000000009');
select tests.as_user('rita.rep');
select results_eq(
    $$select organization_id from public.contacts where first_name = 'Twin'$$,
    $$select tests.alder()$$,
    'who is in a team is not in that of the same id elsewhere'
);
select tests.as_owner();
insert into public.team_members (organization_id, team_id, user_id)
values (tests.birch(), 'd0000000-0000-7000-8000-000000000009', tests.person('rita.rep'));
select tests.as_user('rita.rep');
select is(count(*), 2::bigint, 'unless they are') from public.contacts
where first_name = 'Twin';
select tests.as_owner();
delete from public.role_permissions
where organization_id = tests.birch() and permission = 'contacts.read_team';
select tests.as_user('rita.rep');
select is(count(*), 1::bigint, 'and may see what is the team''s')
from public.contacts
where first_name = 'Twin';
select tests.as_owner();

-- Loads -------------------------------------------------------------------------------------
insert into private.seats
select
    tests.person('nora.nobody'),
    m.organization_id,
    m.role,
    m.status,
    'owner',
    false,
    array(select p.code from public.permissions as p),
    null
from public.memberships as m
where m.user_id = tests.person('nora.nobody');
select is(
    tests.may('nora.nobody', 'contacts.write_own'),
    false,
    'a seat that is brought along is left out'
);
select is(tests.may('nora.nobody', 'contacts.read'), true, 'in favour of what is there');

-- How many seats a change leaves somebody, made by a session that calls itself a replica.
create function tests.left_by_replica(who text, statement text) returns bigint language plpgsql
as $$
declare
    v_count bigint;
begin
    perform private.rate_all_seats();
    if tests.seats_of(who) = 0 then
        raise exception '% had none before', who;
    end if;
    perform set_config('session_replication_role', 'replica', true);
    execute statement;
    perform set_config('session_replication_role', 'origin', true);
    return tests.seats_of(who);
end;
$$;
select
    is(
        tests.left_by_replica(s.who, s.statement),
        0::bigint,
        'by a replica: ' || regexp_replace(btrim(s.statement), '\s+', ' ', 'g')
    )
from (
    values
    (
        'rita.rep',
        $$delete from public.role_permissions where permission = 'contacts.write_own'$$
    ),
    (
        'rita.rep',
        $$insert into public.role_permissions values (tests.alder(), 'sales_rep', 'tags.write')$$
    ),
    (
        'mika.member',
        $$delete from public.builtin_role_permissions where permission = 'tags.write'$$
    ),
    ('mika.member', $$update public.permissions set step_up = true where key like 'tags.%'$$),
    ('mika.member', $$update public.organizations set status = 'closing'$$),
    (
        'mika.member',
        $$
            update public.memberships set role = 'viewer'
            where user_id = tests.person('mika.member')
        $$
    ),
    (
        'bea.both',
        $$
            update public.memberships set user_id = tests.person('olga.owner')
            where user_id = tests.person('bea.both') and organization_id = tests.birch()
        $$
    ),
    (
        'marc.manager',
        $$delete from public.memberships where user_id = tests.person('marc.manager')$$
    ),
    (
        'adam.admin',
        $$
            insert into public.memberships (organization_id, user_id, role)
            values (tests.birch(), tests.person('adam.admin'), 'viewer')
        $$
    ),
    (
        'mona.member',
        $$
            insert into private.support_grants
            (organization_id, agent_id, permission, reason, approved_by, expires_at)
            values (
                tests.alder(), tests.person('mona.member'), 'contacts.read', 'Long enough here',
                tests.person('otto.owner'), now() + '1 hour'
            )
        $$
    )
) as s (who, statement);
set local session_replication_role = replica;
select is(
    tests.error_of($$update public.role_permissions set role = 'other'$$) is not null,
    true,
    'and makes no permission of a role into another'
);
set local session_replication_role = origin;
select is_empty('select * from tests.disagreements()', 'then the authorizer alone is asked');
select private.rate_all_seats();
select is(tests.seats_of('mika.member'), 1::bigint, 'until all seats are written anew');
select is_empty('select * from tests.disagreements()', 'as they must be');

set local session_replication_role = replica;
truncate public.role_permissions;
set local session_replication_role = origin;
select is((select count(*) from private.seats), 0::bigint, 'what is emptied empties the seats');
select private.rate_all_seats();
select is(tests.seats_of('mika.member'), 1::bigint, 'and those who are left have them again');
set local session_replication_role = replica;
truncate public.builtin_role_permissions;
set local session_replication_role = origin;
select is((select count(*) from private.seats), 0::bigint, 'nobody may do anything');
select is_empty('select * from tests.disagreements()', 'and seats agree to the end');

-- What keeps them is kept out of sight -------------------------------------------------------
select is_empty(
    $$
        select p.oid::regprocedure
        from pg_proc as p
        cross join (values ('anon'), ('authenticated'), ('service_role')) as r (name)
        where
            p.pronamespace = 'private'::regnamespace
            and p.proname in (
                'rated_seats', 'stale_seats', 'take_turns', 'rate_seats',
                'rate_organization', 'rate_all_seats', 'members_of'
            )
            and has_function_privilege(r.name, p.oid, 'execute')
    $$,
    'nobody but the operator writes seats or takes turns'
);

select * from finish();
rollback;
