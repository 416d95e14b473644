-- Companies and contacts: who sees, adds, changes and bins them.
begin;
\ir helpers.psql
select no_plan();

-- Reading ------------------------------------------------------------------------------------
select tests.as_user('vera.viewer');
select is(count(*), 4::bigint, 'a viewer sees every contact of her organization')
from public.contacts;
select is(count(*), 0::bigint, 'and none of another one')
from public.contacts as c
where c.organization_id = tests.birch();
select is(count(*), 3::bigint, 'and every company') from public.companies;

select tests.as_user('rita.rep');
select results_eq(
    'select full_name from public.contacts order by 1',
    array['Kaia Holm'],
    'a sales representative sees only the contacts of her own and of her team'
);
select is(count(*), 3::bigint, 'but every company, as her role says') from public.companies;

select tests.as_user('bea.both');
select is(count(*), 6::bigint, 'who belongs to two organizations sees the contacts of both')
from public.contacts;

select tests.as_user('sten.suspended');
select is(count(*), 0::bigint, 'a suspended member sees nothing') from public.contacts;

select tests.as_user('nora.nobody');
select is(count(*), 0::bigint, 'who belongs nowhere sees nothing') from public.contacts;

select tests.as_role('anon');
select is(
    tests.error_of('select 1 from public.contacts'),
    '42501',
    'a visitor may not even ask for contacts'
);

-- Teams --------------------------------------------------------------------------------------
select tests.as_owner();
update public.contacts set team_id = 'a1000000-0000-7000-8000-000000000002'
where id = 'a7000000-0000-7000-8000-000000000004';
select tests.as_user('rita.rep');
select is(count(*), 2::bigint, 'a contact handed to her team comes into sight')
from public.contacts;
select is(
    tests.changed($$
        update public.contacts set city = 'Linz'
        where id = 'a7000000-0000-7000-8000-000000000004'
    $$),
    0::bigint,
    'to read but not to change, since her role writes only what is hers'
);
select is(
    tests.changed($$
        update public.contacts set city = 'Linz'
        where id = 'a7000000-0000-7000-8000-000000000003'
    $$),
    1::bigint,
    'her own she changes'
);

-- Adding -------------------------------------------------------------------------------------
select tests.as_user('mika.member');
select lives_ok(
    $$
        insert into public.contacts (organization_id, first_name)
        values (tests.alder(), 'Anna')
    $$,
    'a member adds a contact'
);
select is(c.owner_id, tests.person('mika.member'), 'and owns it without saying so')
from public.contacts as c
where c.first_name = 'Anna';
select is(c.created_by, tests.person('mika.member'), 'and is on record as its creator')
from public.contacts as c
where c.first_name = 'Anna';
select is(
    tests.error_of($$
        insert into public.contacts (organization_id, first_name, created_by)
        values (tests.alder(), 'Bert', tests.person('adam.admin'))
    $$),
    '42501',
    'nobody creates in somebody else''s name'
);
select is(
    tests.error_of($$
        insert into public.contacts (organization_id, first_name, owner_id)
        values (tests.alder(), 'Bert', tests.person('mara.manager'))
    $$),
    '42501',
    'a member adds no contacts for others'
);
select is(
    tests.error_of($$
        insert into public.contacts (organization_id, first_name) values (tests.birch(), 'Bert')
    $$),
    '42501',
    'nor in another organization'
);
select tests.as_user('mara.manager');
select is(
    tests.error_of($$
        insert into public.contacts (organization_id, first_name, owner_id, team_id)
        values (
            tests.alder(), 'Cleo', tests.person('mika.member'),
            'a1000000-0000-7000-8000-000000000001'
        )
    $$),
    null,
    'a manager adds contacts for the people of her team'
);
select is(
    tests.error_of($$
        insert into public.contacts (organization_id, first_name, owner_id, team_id)
        values (
            tests.alder(), 'Cleo', tests.person('rita.rep'),
            'a1000000-0000-7000-8000-000000000002'
        )
    $$),
    '42501',
    'not for another team'
);
select tests.as_user('vera.viewer');
select is(
    tests.error_of($$
        insert into public.contacts (organization_id, first_name) values (tests.alder(), 'Bert')
    $$),
    '42501',
    'a viewer adds none'
);

-- Changing -----------------------------------------------------------------------------------
select tests.as_user('mika.member');
select is(
    tests.changed($$
        update public.contacts set job_title = 'Director'
        where id = 'a7000000-0000-7000-8000-000000000001'
    $$),
    1::bigint,
    'a member changes what is his'
);
select is(
    tests.changed($$
        update public.contacts set job_title = 'Director'
        where id = 'a7000000-0000-7000-8000-000000000002'
    $$),
    0::bigint,
    'and not what is a colleague''s'
);
select is(
    tests.error_of($$
        update public.contacts set owner_id = tests.person('mara.manager')
        where id = 'a7000000-0000-7000-8000-000000000001'
    $$),
    '42501',
    'nor hands it out of his reach'
);
select tests.as_user('mara.manager');
select is(
    tests.changed($$
        update public.contacts set owner_id = tests.person('mara.manager')
        where id = 'a7000000-0000-7000-8000-000000000001'
    $$),
    1::bigint,
    'a manager does, inside her team'
);
select is(
    tests.error_of($$
        update public.contacts set deleted_at = now()
        where id = 'a7000000-0000-7000-8000-000000000001'
    $$),
    '42501',
    'nobody writes deleted_at directly'
);
select is(
    tests.error_of($$
        update public.contacts set organization_id = tests.birch()
        where id = 'a7000000-0000-7000-8000-000000000001'
    $$),
    '42501',
    'nor organization_id'
);
select tests.as_role('service_role');
select is(
    tests.error_of($$
        update public.contacts set organization_id = tests.birch()
        where id = 'a7000000-0000-7000-8000-000000000001'
    $$),
    'record.key_immutable',
    'not even the service role moves a contact to another organization'
);
select is(
    tests.error_of($$
        update public.contacts set company_id = 'b6000000-0000-7000-8000-000000000001'
        where id = 'a7000000-0000-7000-8000-000000000001'
    $$),
    'contacts_company_fkey',
    'or ties it to another organization''s company'
);
select is(
    tests.error_of($$
        update public.contacts set owner_id = tests.person('otto.owner')
        where id = 'a7000000-0000-7000-8000-000000000001'
    $$),
    'contacts_owner_fkey',
    'or gives it to somebody who does not belong there'
);

-- The bin ------------------------------------------------------------------------------------
select tests.as_user('mika.member');
select is(
    tests.error_of($$
        select public.soft_delete(
            tests.alder(), 'contact', array['a7000000-0000-7000-8000-000000000002'::uuid]
        )
    $$),
    'record.not_found',
    'a member does not bin a colleague''s contact'
);
select tests.as_user('adam.admin');
select is(
    public.soft_delete(
        tests.alder(),
        'contact',
        array[
            'a7000000-0000-7000-8000-000000000001'::uuid, 'a7000000-0000-7000-8000-000000000002'
        ]
    ),
    2::bigint,
    'an administrator bins any'
);
select isnt(c.deleted_at, null, 'and still sees it, in the bin')
from public.contacts as c
where c.id = 'a7000000-0000-7000-8000-000000000001';
select is(
    public.soft_delete(
        tests.alder(), 'contact', array['a7000000-0000-7000-8000-000000000001'::uuid]
    ),
    0::bigint,
    'a second time changes nothing'
);
select is(
    public.restore(tests.alder(), 'contact', array['a7000000-0000-7000-8000-000000000001'::uuid]),
    1::bigint,
    'and takes it out again'
);
select is(
    tests.error_of($$
        select public.soft_delete(
            tests.alder(),
            'contact',
            array[
                'a7000000-0000-7000-8000-000000000001'::uuid,
                'b7000000-0000-7000-8000-000000000001'
            ]
        )
    $$),
    'record.not_found',
    'one foreign id spoils the whole request'
);
select is(c.deleted_at, null, 'and nothing of it is done')
from public.contacts as c
where c.id = 'a7000000-0000-7000-8000-000000000001';
select is(
    tests.error_of($$
        select public.soft_delete(
            tests.birch(), 'contact', array['b7000000-0000-7000-8000-000000000001'::uuid]
        )
    $$),
    'permission.denied',
    'an administrator here is nobody there'
);
select is(
    tests.error_of(
        $$ select public.soft_delete(tests.alder(), 'membership', array[tests.alder()]) $$
    ),
    'object.unknown',
    'the bin takes records and nothing else'
);
select is(
    tests.error_of($$ select public.soft_delete(tests.alder(), 'contact', '{}') $$),
    'ids.count',
    'and at least one of them'
);
select is(
    tests.changed($$
        delete from public.contacts where id = 'b7000000-0000-7000-8000-000000000001'
    $$),
    0::bigint,
    'deleting for good stops at the border too'
);
select is(
    tests.changed($$
        delete from public.contacts where id = 'a7000000-0000-7000-8000-000000000002'
    $$),
    1::bigint,
    'and works on this side of it'
);

-- Rules of a single row ----------------------------------------------------------------------
select
    is(
        tests.error_of(format(
            'insert into public.contacts (organization_id, last_name, %s)'
            ' values (tests.alder(), %L, %L)',
            v.field, 'Brandt', v.value
        )),
        v.wanted,
        format('%s: %L', v.field, v.value)
    )
from (
    values
    ('email', 'Ida@Mills.example', 'contacts_email_check'),
    ('email', 'no address', 'contacts_email_check'),
    ('email', 'ida@mills.example', null),
    ('phone', '040 555', 'contacts_phone_check'),
    ('phone', '+4940555', null),
    ('first_name', ' Ida', 'contacts_first_name_check'),
    ('website_url', 'javascript:alert(1)', 'contacts_website_url_check'),
    ('website_url', 'https://mills.example/#top', null),
    ('status', 'vip', 'contacts_status_check'),
    ('status', 'qualified', null)
) as v (field, value, wanted);
select is(
    tests.error_of($$
        insert into public.contacts (organization_id, job_title) values (tests.alder(), 'Director')
    $$),
    'contacts_identity_check',
    'a contact has a name, an address or a number'
);
select
    is(
        tests.error_of(format(
            'insert into public.companies (organization_id, name, %s)'
            ' values (tests.alder(), %L, %L)',
            v.field, 'Mill', v.value
        )),
        v.wanted,
        format('%s: %L', v.field, v.value)
    )
from (
    values
    ('domain', 'Mill.example', 'companies_domain_check'),
    ('domain', 'mill.example', null),
    ('website_url', 'ftp://mill.example', 'companies_website_url_check'),
    ('website_url', 'https://mill.example/?a=1', null),
    ('country', 'Germany', 'companies_country_check'),
    ('country', 'DE', null),
    ('custom_fields', '[]', 'companies_custom_fields_check')
) as v (field, value, wanted);

select * from finish();
rollback;
