-- What a permission asks for besides the role, it asks for in each of its reaches.
begin;
\ir helpers.psql
select no_plan();

select is(
    tests.error_of(
        $$update public.permissions set step_up = true where key = 'contacts.read'$$
    ),
    'permission.reach',
    'no second factor for everything, and none for one''s own'
);
select is(
    tests.error_of(
        $$update public.permissions set writes = false where key = 'deals.write_team'$$
    ),
    'permission.reach',
    'nor anything that only a part of it may do while the organization is closing'
);
select is(
    tests.error_of(
        $$
            insert into public.permissions (key, description, writes, step_up)
            values ('tags.read_own', 'See one''s own tags', false, true)
        $$
    ),
    'permission.reach',
    'nor a new part that differs'
);
select lives_ok(
    $$
        insert into public.permissions (key, description, writes, step_up)
        values ('tags.read_own', 'See one''s own tags', false, false)
    $$,
    'one that does not is added'
);

-- A member, who may read all contacts, and by that those of their own.
insert into public.builtin_role_permissions (role, permission)
values ('member', 'contacts.read_own') on conflict do nothing;
select tests.as_user('mika.member');
select isnt(count(*), 0::bigint, 'a member reads the contacts of others')
from public.contacts
where owner_id is distinct from tests.person('mika.member');
select tests.as_owner();
select lives_ok(
    $$update public.permissions set step_up = true where key like 'contacts.read%'$$,
    'all reaches together may ask for a second factor'
);
select tests.as_user('mika.member');
select is(count(*), 0::bigint, 'then nothing is read without one') from public.contacts;
select tests.as_user('mika.member', 'aal2');
select isnt(count(*), 0::bigint, 'and with one it is as before')
from public.contacts
where owner_id is distinct from tests.person('mika.member');
select tests.as_owner();

select * from finish();
rollback;
