-- Organizations, members, roles, invitations and teams.
begin;
\ir helpers.psql
select no_plan();

-- Who sees what ------------------------------------------------------------------------------
select tests.as_user('vera.viewer');
select results_eq(
    'select o.slug from public.organizations as o',
    array['alder'],
    'one sees the organization one belongs to'
);
select is(count(*), 8::bigint, 'and its members') from public.memberships;
select is(count(*), 6::bigint, 'its roles') from public.roles;
select is(count(*), 2::bigint, 'its teams') from public.teams;
select is(count(*), 8::bigint, 'and the names of the people in it') from public.profiles;
select tests.as_user('bea.both');
select is(count(*), 2::bigint, 'who belongs to two sees two') from public.organizations;
select tests.as_user('nora.nobody');
select is(count(*), 0::bigint, 'who belongs to none sees none') from public.organizations;
select is(count(*), 1::bigint, 'and only their own name') from public.profiles;
select tests.as_user('nora.nobody', 'aal1', '{"is_anonymous": true}');
select is(
    tests.error_of($$ select public.create_organization('Ghost', 'ghost') $$),
    'session.required',
    'an anonymous sign-in founds nothing'
);
select tests.as_user('vera.viewer', 'aal1', '{"is_anonymous": true}');
select is(count(*), 0::bigint, 'and sees nothing') from public.organizations;

-- Nobody helps themselves --------------------------------------------------------------------
select tests.as_user('nora.nobody');
select is(
    tests.error_of($$
        insert into public.memberships (organization_id, user_id, role)
        values (tests.alder(), tests.person('nora.nobody'), 'owner')
    $$),
    '42501',
    'nobody writes a membership'
);
select tests.as_user('mika.member');
select is(
    tests.error_of($$
        update public.memberships set role = 'owner' where user_id = tests.person('mika.member')
    $$),
    '42501',
    'or promotes themselves'
);
select is(
    tests.error_of($$
        select public.change_member_role(tests.alder(), tests.person('mika.member'), 'admin')
    $$),
    'permission.denied',
    'by no way'
);
select is(
    tests.error_of($$
        update public.organizations set name = 'Mine' where id = tests.alder()
    $$),
    null,
    'renaming the organization raises nothing'
);
select is(
    tests.changed($$ update public.organizations set name = 'Mine' where id = tests.alder() $$),
    0::bigint,
    'and changes nothing'
);
select tests.as_user('adam.admin');
select is(
    tests.changed($$ update public.organizations set name = 'Alder' where id = tests.alder() $$),
    1::bigint,
    'an administrator may'
);
select is(
    tests.error_of($$
        select public.change_member_role(tests.alder(), tests.person('mika.member'), 'owner')
    $$),
    'role.outranked',
    'but makes nobody an owner'
);
select is(
    tests.error_of($$ select public.suspend_member(tests.alder(), tests.person('olga.owner')) $$),
    'role.outranked',
    'nor touches one'
);
select lives_ok(
    $$ select public.change_member_role(tests.alder(), tests.person('mika.member'), 'manager') $$,
    'a member becomes a manager'
);
select tests.as_user('mika.member');
select is(
    tests.changed($$ insert into public.pipelines (organization_id, name)
    values (tests.alder(), 'Mine') $$),
    1::bigint,
    'and works as one in the same moment'
);

-- Owners -------------------------------------------------------------------------------------
select tests.as_user('olga.owner');
select is(
    tests.error_of($$
        select public.leave_organization(tests.alder());
        set constraints all immediate
    $$),
    'membership.last_owner',
    'the last owner cannot leave'
);
select is(
    tests.error_of(
        $$ select public.transfer_ownership(tests.alder(), tests.person('adam.admin')) $$
    ),
    'permission.denied',
    'handing over needs the second factor'
);
select tests.as_user('olga.owner', 'aal2');
select is(
    tests.error_of($$
        select public.transfer_ownership(tests.alder(), tests.person('otto.owner'))
    $$),
    'membership.unknown',
    'and goes to members only'
);
select tests.as_owner();
update auth.users set deleted_at = now()
where id = tests.person('adam.admin');
update auth.users set banned_until = now() + interval '1 day'
where id = tests.person('mara.manager');
select tests.as_user('olga.owner', 'aal2');
select
    is(
        tests.error_of(format(
            'select public.transfer_ownership(tests.alder(), %L)', tests.person(v.who)
        )),
        'membership.unknown',
        'to nobody whose account is ' || v.state
    )
from (values ('adam.admin', 'deleted'), ('mara.manager', 'banned')) as v (who, state);
-- Another owner, who is not there.
select tests.as_owner();
update public.memberships set role = 'owner'
where user_id = tests.person('adam.admin');
select tests.as_user('olga.owner');
select is(
    tests.error_of($$
        select public.leave_organization(tests.alder());
        set constraints all immediate
    $$),
    'membership.last_owner',
    'nor is the organization left to an account that was deleted'
);
select tests.as_owner();
update auth.users set deleted_at = null, banned_until = null
where id in (tests.person('adam.admin'), tests.person('mara.manager'));
select tests.as_user('olga.owner');
select is(
    tests.error_of($$
        select public.leave_organization(tests.alder());
        set constraints all immediate
    $$),
    null,
    'to one that is there it is'
);
select tests.as_owner();
update public.memberships set role = 'admin'
where user_id = tests.person('adam.admin');
set constraints all immediate;
set constraints all deferred;
select tests.as_user('olga.owner', 'aal2');
select lives_ok(
    $$ select public.transfer_ownership(tests.alder(), tests.person('adam.admin')) $$,
    'a member takes over'
);
select is(m.role, 'admin', 'and the owner of before is an administrator')
from public.memberships as m
where m.organization_id = tests.alder() and m.user_id = tests.person('olga.owner');

-- Suspension is immediate --------------------------------------------------------------------
select tests.as_user('adam.admin');
select lives_ok(
    $$ select public.suspend_member(tests.alder(), tests.person('mara.manager')) $$,
    'a manager is suspended'
);
select tests.as_user('mara.manager');
select is(count(*), 0::bigint, 'and sees nothing, with the same token') from public.organizations;
select is(
    tests.error_of(
        $$ select public.reinstate_member(tests.alder(), tests.person('mara.manager')) $$
    ),
    'permission.denied',
    'nor lets herself in again'
);
select tests.as_user('adam.admin');
select lives_ok(
    $$ select public.reinstate_member(tests.alder(), tests.person('mara.manager')) $$,
    'somebody else does'
);
select tests.as_user('mara.manager');
select is(count(*), 1::bigint, 'and she is back') from public.organizations;

-- Invitations --------------------------------------------------------------------------------
create temporary table invited (invitation_id uuid, token text, expires_at timestamptz);
select is(
    tests.error_of($$
        select public.invite_member(tests.alder(), 'nora.nobody@elsewhere.example', 'admin')
    $$),
    'role.outranked',
    'a manager invites no administrators'
);
insert into invited
select i.* from public.invite_member(tests.alder(), 'Nora.Nobody@elsewhere.example', 'member') as i;
select is(count(*), 1::bigint, 'but a member she does') from invited;
select is(
    tests.error_of($$ select t.token_sha256 from private.invitation_tokens as t $$),
    '42501',
    'nobody reads tokens, not even their hashes'
);
grant select on invited to authenticated;
select tests.as_user('otto.owner');
select is(count(*), 0::bigint, 'another organization sees no invitation') from public.invitations;
select is(
    tests.error_of('select public.accept_invitation(i.token) from invited as i'),
    'invitation.invalid',
    'the token alone lets nobody else in'
);
select tests.as_user('nora.nobody');
select is(
    tests.error_of($$ select public.accept_invitation('guess') $$),
    'invitation.invalid',
    'nor does a guess'
);
select tests.as_owner();
update auth.users set banned_until = now() + interval '1 day'
where id = tests.person('mara.manager');
select tests.as_user('nora.nobody');
select is(
    tests.error_of('select public.accept_invitation(i.token) from invited as i'),
    'invitation.invalid',
    'nor an invitation by somebody who was banned since'
);
select tests.as_owner();
update auth.users set banned_until = now() - interval '1 second', deleted_at = now()
where id = tests.person('mara.manager');
select tests.as_user('nora.nobody');
select is(
    tests.error_of('select public.accept_invitation(i.token) from invited as i'),
    'invitation.invalid',
    'or whose account was deleted'
);
select tests.as_owner();
update auth.users set deleted_at = null
where id = tests.person('mara.manager');
select tests.as_user('nora.nobody');
select is(public.accept_invitation(i.token), tests.alder(), 'the person invited joins')
from invited as i;
select is(count(*), 9::bigint, 'and is a member like any other')
from public.memberships as m
where m.organization_id = tests.alder();
select is(
    tests.error_of('select public.accept_invitation(i.token) from invited as i'),
    'invitation.invalid',
    'a second time the token is worth nothing'
);

-- Custom roles -------------------------------------------------------------------------------
select tests.as_user('adam.admin');
select lives_ok(
    $$
        select public.create_role(
            tests.alder(), 'caller', 'Caller', 25, array['contacts.read', 'activities.write_own']
        )
    $$,
    'an owner makes a role'
);
select tests.as_user('olga.owner');
select is(
    tests.error_of($$
        select public.create_role(
            tests.alder(), 'heir', 'Heir', 70, array['organization.transfer']
        )
    $$),
    'role.beyond_own',
    'an administrator puts nothing into a role that she does not hold herself'
);
select is(
    tests.error_of($$
        select public.create_role(tests.alder(), 'odd', 'Odd', 70, array['contacts.everything'])
    $$),
    'permission.unknown',
    'or that does not exist'
);
select lives_ok(
    $$ select public.change_member_role(tests.alder(), tests.person('nora.nobody'), 'caller') $$,
    'the role is given'
);
select tests.as_user('nora.nobody');
select results_eq(
    $$ select p.* from public.my_permissions(tests.alder()) as p $$,
    array['activities.write_own', 'contacts.read'],
    'and means exactly what it says'
);
select is(count(*), 4::bigint, 'its holder reads contacts') from public.contacts;
select is(count(*), 0::bigint, 'and no deals') from public.deals;

-- Somebody who looks after members, and may do little else.
select tests.as_user('olga.owner');
select lives_ok(
    $$
        select public.create_role(
            tests.alder(), 'helper', 'Helper', 50,
            array['organization.read', 'members.read', 'members.update', 'contacts.read']
        )
    $$,
    'a role may be high and hold little'
);
select lives_ok(
    $$ select public.change_member_role(tests.alder(), tests.person('vera.viewer'), 'helper') $$,
    'it is given'
);
select tests.as_user('vera.viewer');
select is(
    tests.error_of(
        $$ select public.change_member_role(
            tests.alder(), tests.person('nora.nobody'), 'sales_rep'
        ) $$
    ),
    'role.beyond_own',
    'its holder gives nobody a role that may do more'
);
select lives_ok(
    $$ select public.suspend_member(tests.alder(), tests.person('rita.rep')) $$,
    'she suspends who holds one'
);
select is(
    tests.error_of(
        $$ select public.reinstate_member(tests.alder(), tests.person('rita.rep')) $$
    ),
    'role.beyond_own',
    'and does not let them in again'
);
select tests.as_user('adam.admin');
select lives_ok(
    $$
        select public.reinstate_member(tests.alder(), tests.person('rita.rep'));
        select public.update_role(tests.alder(), 'caller', permissions => array['contacts.read'])
    $$,
    'somebody does who holds all of it'
);
select tests.as_user('vera.viewer');
select lives_ok(
    $$
        select public.suspend_member(tests.alder(), tests.person('nora.nobody'));
        select public.reinstate_member(tests.alder(), tests.person('nora.nobody'))
    $$,
    'to what she holds herself she lets in again'
);
select tests.as_user('olga.owner');
select lives_ok(
    $$ select public.change_member_role(tests.alder(), tests.person('vera.viewer'), 'viewer') $$,
    'and is a viewer again'
);

-- Teams --------------------------------------------------------------------------------------
select tests.as_user('mara.manager');
select is(
    tests.error_of(
        $$ select public.add_team_member(tests.alder(), t.id, tests.person('otto.owner'))
        from public.teams as t
        where t.name = 'North' $$
    ),
    'membership.unknown',
    'a team takes members of the organization only'
);
select lives_ok(
    $$ select public.add_team_member(tests.alder(), t.id, tests.person('vera.viewer'))
    from public.teams as t
    where t.name = 'North' $$,
    'of whatever role'
);

-- The second factor --------------------------------------------------------------------------
select tests.as_user('vera.viewer');
select is(
    tests.error_of('select public.leave_organization(tests.alder())'),
    null,
    'who has no second factor leaves without one'
);
select tests.as_owner();
insert into auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at)
values (gen_random_uuid(), tests.person('vera.viewer'), 'totp', 'unverified', now(), now());
select tests.as_user('vera.viewer');
select is(
    tests.error_of('select public.leave_organization(tests.alder())'),
    null,
    'or with one that is not set up yet'
);
select tests.as_owner();
update auth.mfa_factors set status = 'verified';
select tests.as_user('vera.viewer');
select is(count(*), 0::bigint, 'who has one sees nothing without it') from public.organizations;
select is(
    tests.error_of('select public.leave_organization(tests.alder())'),
    'session.required',
    'and a thief of the password does not end the membership'
);
select is(
    tests.error_of($$ select public.create_organization('Mine', 'mine') $$),
    'session.required',
    'or begin another'
);
select tests.as_user('vera.viewer', 'aal2');
select is(
    tests.error_of('select public.leave_organization(tests.alder())'),
    null,
    'with it she leaves when she likes'
);
select tests.as_owner();
delete from auth.mfa_factors;
select tests.as_user('adam.admin', 'aal2');
select lives_ok(
    $$ select public.set_require_mfa(tests.alder(), true) $$,
    'an organization can demand the second factor of everybody'
);
select tests.as_user('vera.viewer');
select is(count(*), 0::bigint, 'and then nobody sees anything without it') from public.contacts;
select tests.as_user('vera.viewer', 'aal2');
select is(count(*), 4::bigint, 'or misses anything with it') from public.contacts;

-- An organization that closes is read-only ----------------------------------------------------
select tests.as_owner();
update public.organizations set status = 'closing'
where id = tests.alder();
select tests.as_user('adam.admin', 'aal2');
select is(count(*), 4::bigint, 'what closes can still be read') from public.contacts;
select is(
    tests.error_of($$
        insert into public.contacts (organization_id, last_name) values (tests.alder(), 'Late')
    $$),
    '42501',
    'but takes nothing new'
);
select tests.as_owner();
update public.organizations set status = 'closed'
where id = tests.alder();
select tests.as_user('adam.admin', 'aal2');
select is(count(*), 0::bigint, 'what is closed is closed') from public.contacts;

select * from finish();
rollback;
