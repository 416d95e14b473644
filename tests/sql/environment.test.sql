-- What every file of this folder rests on: the roles and the claims of the platform.
begin;
select plan(6);

select has_role('anon');
select has_role('authenticated');
select isnt_superuser('postgres', 'migrations and tests run without superuser');
select is(auth.uid(), null::uuid, 'nobody is signed in');
set local "request.jwt.claims" = '{"sub": "00000000-0000-4000-8000-000000000001"}';
select is(
    auth.uid(), '00000000-0000-4000-8000-000000000001'::uuid, 'claims name the user'
);
set local role authenticated;
select throws_ok(
    'select * from auth.users', '42501', null, 'API roles cannot read the users table'
);

select * from finish();
rollback;
