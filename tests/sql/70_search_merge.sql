-- Search finds what one may see, and two contacts become one and two again.
begin;
\ir helpers.psql
select no_plan();

-- Search -------------------------------------------------------------------------------------
select tests.as_user('vera.viewer');
select
    is(
        array(
            select f.full_name from public.search_contacts(tests.alder(), v.query) as f
            order by 1
        ),
        v.wanted,
        'search for ' || v.query
    )
from (
    values
    ('ida', array['Ida Brandt']),
    ('BRAN', array['Ida Brandt']),
    ('brandt ida', array['Ida Brandt']),
    ('harbour-mills', array['Ida Brandt', 'Jon Ebert']),
    ('ida@harbour-mills.example', array['Ida Brandt']),
    ('4940', array['Ida Brandt']),
    ('+49 40', '{}'),
    ('purchasing', array['Ida Brandt']),
    ('randt', '{}'),
    ('ida holm', '{}'),
    ('nell', '{}'),
    ('', '{}'),
    ('   ', '{}'),
    (''' | ! & <-> :* ( \', '{}'),
    ('ida'' | ''jon', '{}')
) as v (query, wanted);
select is(
    array(select f.name from public.search_companies(tests.alder(), 'hamb') as f),
    array['Harbour Mills'],
    'companies are found by their city'
);
select is(
    array(select f.name from public.search_deals(tests.alder(), 'convey') as f),
    array['New conveyor'],
    'deals by their name'
);
select is(
    array(select f.subject from public.search_activities(tests.alder(), 'three shifts') as f),
    array['Visit to the mill'],
    'activities by their text'
);
select is(
    array(select f.subject from public.search_activities(tests.alder(), 'strong') as f),
    '{}',
    'and not by its mark-up'
);
select is(count(*), 1::bigint, 'no more than asked for')
from public.search_contacts(tests.alder(), 'harbour', 1);
select is(
    tests.error_of($$ select public.search_contacts(tests.birch(), 'ida') $$),
    'permission.denied',
    'there is no searching in another organization'
);
select tests.as_user('rita.rep');
select is(
    array(select f.full_name from public.search_contacts(tests.alder(), 'example') as f),
    array['Kaia Holm'],
    'who sees only her own finds only her own'
);
select tests.as_user('mona.member');
select is(
    array(select f.full_name from public.search_contacts(tests.birch(), 'ida brandt') as f),
    array['Ida Brandt'],
    'the namesake of the other organization is found there'
);
select tests.as_user('adam.admin');
select is(
    public.soft_delete(
        tests.alder(), 'contact', array['a7000000-0000-7000-8000-000000000002'::uuid]
    ),
    1::bigint,
    'a contact goes to the bin'
);
select is(
    array(select f.full_name from public.search_contacts(tests.alder(), 'jon') as f),
    '{}',
    'and is found no more'
);
select is(
    public.restore(tests.alder(), 'contact', array['a7000000-0000-7000-8000-000000000002'::uuid]),
    1::bigint,
    'until it is taken out'
);

-- A word that thousands carry is found from the newest back -----------------------------------
select tests.as_owner();
insert into public.contacts (organization_id, first_name, last_name, created_at)
select tests.alder(), 'Common', 'Nr' || i, '2020-01-01 00:00+00'::timestamptz + i * interval '1 min'
from generate_series(1, 5200) as i;
select tests.as_user('vera.viewer');
select is(
    array(select f.last_name from public.search_contacts(tests.alder(), 'common', 3) as f),
    array['Nr5200', 'Nr5199', 'Nr5198'],
    'the newest of many'
);
select is(
    array(select f.last_name from public.search_contacts(tests.alder(), 'common nr52', 3) as f),
    array['Nr5200', 'Nr529', 'Nr528'],
    'the newest of some'
);

-- Merging ------------------------------------------------------------------------------------
select tests.as_owner();
delete from public.contacts
where first_name = 'Common';
insert into public.deal_contacts (organization_id, deal_id, contact_id, role) values
(
    tests.alder(), 'a8000000-0000-7000-8000-000000000001',
    'a7000000-0000-7000-8000-000000000004', 'other'
),
(
    tests.alder(), 'a8000000-0000-7000-8000-000000000003',
    'a7000000-0000-7000-8000-000000000001', 'champion'
);
update public.files set contact_id = 'a7000000-0000-7000-8000-000000000001'
where id = 'ae000000-0000-7000-8000-000000000001';
update public.contacts set do_not_contact = true
where id = 'a7000000-0000-7000-8000-000000000001';
create table tests.before as
select
    (
        select jsonb_agg(to_jsonb(c) - 'updated_at' order by c.id)
        from public.contacts as c
    ) as contacts,
    (
        select jsonb_agg(to_jsonb(d) order by d.deal_id, d.contact_id)
        from public.deal_contacts as d
    ) as deals,
    (
        select jsonb_agg(to_jsonb(t) order by t.contact_id, t.tag_id)
        from public.contact_tags as t
    ) as tags,
    (select jsonb_agg(a.contact_id order by a.id) from public.activities as a) as activities,
    (select jsonb_agg(v.contact_id order by v.id) from public.conversations as v) as conversations,
    (select jsonb_agg(f.contact_id order by f.id) from public.files as f) as files;
create table tests.merge (id uuid);
grant select, insert on tests.merge to authenticated;
select is(
    array(
        select k.conrelid::regclass::text
        from pg_constraint as k
        where
            k.confrelid = 'public.contacts'::regclass
            and k.contype = 'f'
            and k.conrelid <> 'private.contact_merges'::regclass
        order by 1
    ),
    array[
        'activities', 'contact_tags', 'conversations', 'deal_contacts', 'files'
    ],
    'merge_contacts() moves every kind of child there is'
);

select tests.as_user('mika.member');
select is(
    tests.error_of($$
        select public.merge_contacts(
            tests.alder(), 'a7000000-0000-7000-8000-000000000001',
            'a7000000-0000-7000-8000-000000000004'
        )
    $$),
    'record.not_found',
    'a member does not merge what is not his'
);
select tests.as_user('adam.admin');
select is(
    tests.error_of($$
        select public.merge_contacts(
            tests.alder(), 'a7000000-0000-7000-8000-000000000001',
            'b7000000-0000-7000-8000-000000000001'
        )
    $$),
    'record.not_found',
    'nobody merges across organizations'
);
select is(
    tests.error_of($$
        select public.merge_contacts(
            tests.alder(), 'a7000000-0000-7000-8000-000000000001',
            'a7000000-0000-7000-8000-000000000001'
        )
    $$),
    'merge.same',
    'or somebody with themselves'
);
with merged as (
    select m.*
    from public.merge_contacts(
        tests.alder(), 'a7000000-0000-7000-8000-000000000004',
        'a7000000-0000-7000-8000-000000000001'
    ) as m
),

kept as (
    insert into tests.merge select m.merge_id from merged as m
)

select is(m.moved, 6::bigint, 'an administrator merges: 6 children move') from merged as m;
select results_eq(
    $$
        select c.full_name, c.email, c.phone, c.job_title, c.do_not_contact, c.custom_fields
        from public.contacts as c
        where c.id = 'a7000000-0000-7000-8000-000000000004'
    $$,
    $$
        values (
            'Luis Prado', 'luis.prado@mail.example', '+4940555010', 'Head of purchasing', true,
            '{"newsletter": true}'::jsonb
        )
    $$,
    'the survivor keeps what it knows and gets what it lacks'
);
select isnt(c.deleted_at, null, 'the other is in the bin') from public.contacts as c
where c.id = 'a7000000-0000-7000-8000-000000000001';
select results_eq(
    $$
        select d.name, p.role
        from public.deal_contacts as p
        inner join public.deals as d
            on p.organization_id = d.organization_id and p.deal_id = d.id
        where p.contact_id = 'a7000000-0000-7000-8000-000000000004'
        order by 1
    $$,
    $$ values ('New conveyor', 'other'), ('Spare parts', 'champion') $$,
    'a deal both took part in has the survivor once'
);
select is(count(*), 0::bigint, 'nothing is left with the other')
from (
    select a.contact_id from public.activities as a
    union all
    select v.contact_id from public.conversations as v
    union all
    select f.contact_id from public.files as f
    union all
    select d.contact_id from public.deal_contacts as d
    union all
    select t.contact_id from public.contact_tags as t
) as x
where x.contact_id = 'a7000000-0000-7000-8000-000000000001';

select tests.as_user('otto.owner');
select is(
    tests.error_of(
        $$ select public.unmerge_contacts(tests.birch(), m.id) from tests.merge as m $$
    ),
    'record.not_found',
    'another organization undoes nothing'
);
select tests.as_user('adam.admin');
select is(count(*), 2::bigint, 'the administrator undoes it')
from tests.merge as m, public.unmerge_contacts(tests.alder(), m.id);
select tests.as_owner();
select
    is(
        (
            select jsonb_agg(to_jsonb(c) - 'updated_at' order by c.id)
            from public.contacts as c
        ),
        b.contacts,
        'both contacts are as they were'
    )
from tests.before as b;
select
    is(
        (
            select jsonb_agg(to_jsonb(d) order by d.deal_id, d.contact_id)
            from public.deal_contacts as d
        ),
        b.deals,
        'their deals too'
    )
from tests.before as b;
select
    is(
        (
            select jsonb_agg(to_jsonb(t) order by t.contact_id, t.tag_id)
            from public.contact_tags as t
        ),
        b.tags,
        'and tags'
    )
from tests.before as b;
select
    is(
        (select jsonb_agg(a.contact_id order by a.id) from public.activities as a),
        b.activities,
        'and activities'
    )
from tests.before as b;
select
    is(
        (select jsonb_agg(v.contact_id order by v.id) from public.conversations as v),
        b.conversations,
        'and conversations'
    )
from tests.before as b;
select
    is(
        (select jsonb_agg(f.contact_id order by f.id) from public.files as f),
        b.files,
        'and files'
    )
from tests.before as b;
select tests.as_user('adam.admin');
select is(
    tests.error_of(
        $$ select public.unmerge_contacts(tests.alder(), m.id) from tests.merge as m $$
    ),
    'merge.final',
    'a second time there is nothing to undo'
);

-- Too late -----------------------------------------------------------------------------------
with merged as (
    select m.*
    from public.merge_contacts(
        tests.alder(), 'a7000000-0000-7000-8000-000000000004',
        'a7000000-0000-7000-8000-000000000001'
    ) as m
),

kept as (
    insert into tests.merge select m.merge_id from merged as m
)

select is(count(*), 1::bigint, 'merged once more') from merged;
select tests.as_owner();
update private.contact_merges set merged_at = now() - interval '31 days';
select tests.as_user('adam.admin');
select is(
    tests.error_of($$
        select public.unmerge_contacts(tests.alder(), m.id) from tests.merge as m
        order by m.id desc
        limit 1
    $$),
    'merge.final',
    'after 30 days it is final'
);

-- A field that was archived since, or lost an option, does not stop a merge -------------------
select tests.as_owner();
insert into public.custom_field_definitions (organization_id, object, key, label, type, options)
values
(tests.alder(), 'contact', 'nickname', 'Nickname', 'text', null),
(tests.alder(), 'contact', 'team_shirt', 'Shirt', 'select', '["red", "blue"]'),
(tests.alder(), 'contact', 'hobby', 'Hobby', 'text', null);
with made as (
    insert into public.contacts (organization_id, id, first_name, custom_fields) values
    (tests.alder(), 'a7000000-0000-7000-8000-0000000000f1', 'Kept', '{}'),
    (
        tests.alder(),
        'a7000000-0000-7000-8000-0000000000f2',
        'Gone',
        '{"nickname": "Mo", "team_shirt": "red", "hobby": "chess"}'
    )
    returning 1
)

select is(count(*), 2::bigint, 'two contacts with fields of their own') from made;
update public.custom_field_definitions set archived_at = now()
where key = 'nickname';
update public.custom_field_definitions set options = '["blue"]'
where key = 'team_shirt';
select tests.as_user('adam.admin');
select is(count(*), 1::bigint, 'merge although a field was archived and an option dropped')
from public.merge_contacts(
    tests.alder(),
    'a7000000-0000-7000-8000-0000000000f1',
    'a7000000-0000-7000-8000-0000000000f2'
);
select is(c.custom_fields, '{"hobby": "chess"}'::jsonb, 'what still fits goes along')
from public.contacts as c
where c.id = 'a7000000-0000-7000-8000-0000000000f1';

-- What one may not see one does not merge -----------------------------------------------------
select tests.as_owner();
insert into public.roles (organization_id, key, name, rank)
values (tests.alder(), 'blind', 'Blind', 10);
insert into public.role_permissions (organization_id, role, permission) values
(tests.alder(), 'blind', 'contacts.write'),
(tests.alder(), 'blind', 'contacts.delete'),
(tests.alder(), 'blind', 'contacts.read_own');
update public.memberships set role = 'blind'
where user_id = tests.person('vera.viewer');
insert into public.contacts (organization_id, id, first_name, email, owner_id) values
(
    tests.alder(), 'a7000000-0000-7000-8000-0000000000e1', 'Mine', null,
    tests.person('vera.viewer')
),
(
    tests.alder(), 'a7000000-0000-7000-8000-0000000000e2', 'Also mine', 'e2@mail.example',
    tests.person('vera.viewer')
),
(
    tests.alder(), 'a7000000-0000-7000-8000-0000000000e3', 'Hers', 'e3@mail.example',
    tests.person('mara.manager')
);
select tests.as_user('vera.viewer');
select is(
    tests.error_of($$
        select public.merge_contacts(
            tests.alder(), 'a7000000-0000-7000-8000-0000000000e1',
            'a7000000-0000-7000-8000-0000000000e3'
        )
    $$),
    'record.not_found',
    'a contact that one may change and not see is not copied into one''s own'
);
with merged as (
    select m.*
    from public.merge_contacts(
        tests.alder(), 'a7000000-0000-7000-8000-0000000000e1',
        'a7000000-0000-7000-8000-0000000000e2'
    ) as m
),

kept as (
    insert into tests.merge select m.merge_id from merged as m
)

select is(count(*), 1::bigint, 'two of one''s own become one') from merged;
select is(c.email, 'e2@mail.example', 'with the address of the other')
from public.contacts as c
where c.id = 'a7000000-0000-7000-8000-0000000000e1';
select tests.as_owner();
update public.permissions set step_up = true
where key like 'contacts.read%';
select tests.as_user('vera.viewer');
select is(
    tests.error_of($$
        select public.unmerge_contacts(tests.alder(), m.id) from tests.merge as m
        order by m.id desc
        limit 1
    $$),
    'permission.denied',
    'where seeing takes a second factor, undoing a merge shows nothing without it'
);
select tests.as_user('vera.viewer', 'aal2');
select results_eq(
    $$
        select c.first_name, c.email
        from public.unmerge_contacts(
            tests.alder(), (select m.id from tests.merge as m order by m.id desc limit 1)
        ) as c
    $$,
    $$ values ('Mine', null), ('Also mine', 'e2@mail.example') $$,
    'with it there are two again'
);

select * from finish();
rollback;
