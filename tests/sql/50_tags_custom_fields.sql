-- Tags and custom fields: each organization makes its own.
begin;
\ir helpers.psql
select no_plan();

-- Tags ---------------------------------------------------------------------------------------
select tests.as_user('mika.member');
select is(count(*), 2::bigint, 'a member sees the tags of his organization') from public.tags;
select is(
    public.tag_records(
        tests.alder(),
        'contact',
        array['a7000000-0000-7000-8000-000000000001'::uuid],
        array[
            'a4000000-0000-7000-8000-000000000001'::uuid, 'a4000000-0000-7000-8000-000000000002'
        ]
    ),
    1::bigint,
    'he tags his contact; one of the two tags it had already'
);
select is(
    tests.error_of($$
        select public.tag_records(
            tests.alder(), 'contact', array['a7000000-0000-7000-8000-000000000002'::uuid],
            array['a4000000-0000-7000-8000-000000000001'::uuid]
        )
    $$),
    '42501',
    'not a colleague''s'
);
select is(
    tests.error_of($$
        select public.tag_records(
            tests.alder(), 'contact', array['a7000000-0000-7000-8000-000000000001'::uuid],
            array['b4000000-0000-7000-8000-000000000001'::uuid]
        )
    $$),
    'contact_tags_tag_fkey',
    'nor with a tag of another organization'
);
select is(
    tests.error_of($$
        select public.tag_records(
            tests.alder(), 'activity', array['a9000000-0000-7000-8000-000000000001'::uuid],
            array['a4000000-0000-7000-8000-000000000001'::uuid]
        )
    $$),
    'object.unknown',
    'activities carry no tags'
);
select is(
    tests.error_of($$
        select public.tag_records(tests.alder(), 'contact', '{}', '{}')
    $$),
    'ids.count',
    'nothing is no request'
);
select is(
    public.tag_records(
        tests.alder(),
        'company',
        array['a6000000-0000-7000-8000-000000000001'::uuid],
        array['a4000000-0000-7000-8000-000000000002'::uuid]
    )
    + public.tag_records(
        tests.alder(),
        'deal',
        array['a8000000-0000-7000-8000-000000000001'::uuid],
        array['a4000000-0000-7000-8000-000000000002'::uuid]
    ),
    2::bigint,
    'companies and deals take tags too'
);
select is(
    public.untag_records(
        tests.alder(),
        'contact',
        array[
            'a7000000-0000-7000-8000-000000000001'::uuid, 'a7000000-0000-7000-8000-000000000002'
        ],
        array['a4000000-0000-7000-8000-000000000001'::uuid]
    ),
    1::bigint,
    'and give them back'
);
select is(
    tests.error_of($$
        insert into public.tags (organization_id, name) values (tests.alder(), 'Key account')
    $$),
    'tags_name_key',
    'a name is taken once in an organization'
);
select is(
    tests.error_of($$
        insert into public.tags (organization_id, name) values (tests.alder(), 'Press')
    $$),
    null,
    'and tells nothing of the tags of another one'
);
select is(
    tests.changed($$
        delete from public.tags where id = 'a4000000-0000-7000-8000-000000000001'
    $$),
    0::bigint,
    'a member deletes no tags'
);
select tests.as_user('mara.manager');
select is(
    tests.changed($$
        delete from public.tags where id = 'a4000000-0000-7000-8000-000000000001'
    $$),
    1::bigint,
    'a manager does, wherever they are in use'
);

-- Custom fields ------------------------------------------------------------------------------
select tests.as_user('adam.admin');
insert into public.custom_field_definitions (organization_id, object, key, label, type, options)
values
(tests.alder(), 'contact', 'score', 'Score', 'number', null),
(tests.alder(), 'contact', 'since', 'Since', 'date', null),
(tests.alder(), 'contact', 'homepage', 'Homepage', 'url', null),
(tests.alder(), 'contact', 'assistant', 'Assistant', 'email', null),
(tests.alder(), 'contact', 'remark', 'Remark', 'text', null),
(tests.alder(), 'contact', 'likes', 'Likes', 'multi_select', '["tea", "coffee"]');

select
    is(
        tests.error_of(format(
            'insert into public.contacts (organization_id, last_name, custom_fields)'
            ' values (tests.alder(), %L, %L)',
            'Custom', v.value
        )),
        v.wanted,
        format('a contact with %s', v.value)
    )
from (
    values
    ('{"newsletter": true}', null),
    ('{"newsletter": "yes"}', 'custom_field.invalid'),
    ('{"newsletter": null}', null),
    ('{"score": 12.5}', null),
    ('{"score": "12.5"}', 'custom_field.invalid'),
    ('{"since": "2024-02-29"}', null),
    ('{"since": "2023-02-29"}', 'custom_field.invalid'),
    ('{"since": "yesterday"}', 'custom_field.invalid'),
    ('{"homepage": "https://mills.example"}', null),
    ('{"homepage": "javascript:alert(1)"}', 'custom_field.invalid'),
    ('{"assistant": "ann@mills.example"}', null),
    ('{"assistant": "ann"}', 'custom_field.invalid'),
    ('{"remark": "fine"}', null),
    ('{"remark": 1}', 'custom_field.invalid'),
    ('{"likes": ["tea"]}', null),
    ('{"likes": []}', null),
    ('{"likes": "tea"}', 'custom_field.invalid'),
    ('{"likes": ["tea", "rum"]}', 'custom_field.invalid'),
    ('{"likes": [1]}', 'custom_field.invalid'),
    ('{"size": "large"}', 'custom_field.unknown'),
    ('{"birthday": "1980-05-17"}', 'custom_field.unknown')
) as v (value, wanted);
select is(
    tests.error_of($$
        update public.companies set custom_fields = '{"size": "huge"}'
        where id = 'a6000000-0000-7000-8000-000000000001'
    $$),
    'custom_field.invalid',
    'only the options of a select fit'
);
select is(
    tests.error_of($$
        insert into public.contacts (organization_id, last_name, custom_fields)
        values (tests.birch(), 'Probe', '{"birthday": "not a date"}')
    $$),
    '42501',
    'whoever may not write there learns nothing of the fields of another organization'
);

-- Required and archived fields ---------------------------------------------------------------
select lives_ok(
    $$ update public.custom_field_definitions set required = true where key = 'score' $$,
    'a field becomes required'
);
select is(
    tests.error_of($$
        insert into public.contacts (organization_id, last_name) values (tests.alder(), 'Custom')
    $$),
    'custom_field.required',
    'new contacts need it'
);
select is(
    tests.error_of($$
        insert into public.contacts (organization_id, last_name, custom_fields)
        values (tests.alder(), 'Custom', '{"score": 1}')
    $$),
    null,
    'and have it'
);
select is(
    tests.error_of($$
        update public.contacts set city = 'Kiel' where id = 'a7000000-0000-7000-8000-000000000001'
    $$),
    null,
    'those that exist can be changed as before'
);
select lives_ok(
    $$
        update public.custom_field_definitions set required = false, archived_at = now()
        where key in ('score', 'newsletter')
    $$,
    'fields are archived'
);
select is(
    tests.error_of($$
        update public.contacts set custom_fields = custom_fields || '{"remark": "loyal"}'
        where id = 'a7000000-0000-7000-8000-000000000001'
    $$),
    null,
    'a value that is there may stay'
);
select is(
    tests.error_of($$
        update public.contacts set custom_fields = '{"newsletter": false}'
        where id = 'a7000000-0000-7000-8000-000000000001'
    $$),
    'custom_field.archived',
    'and take no new one'
);

-- Definitions --------------------------------------------------------------------------------
select is(
    tests.error_of($$ update public.custom_field_definitions set type = 'text' $$),
    '42501',
    'the type of a field is for ever'
);
select
    is(
        tests.error_of(format(
            'insert into public.custom_field_definitions'
            ' (organization_id, object, key, label, type, options)'
            ' values (tests.alder(), %L, %L, %L, %L, %s)',
            'deal', v.key, 'Label', v.type, v.options
        )),
        v.wanted,
        format('a definition %s, %s, %s', v.key, v.type, v.options)
    )
from (
    values
    ('Colour', 'text', 'null', 'custom_field_definitions_key_check'),
    ('colour', 'text', 'null', null),
    ('colour', 'text', '''["red"]''', 'custom_field_definitions_options_check'),
    ('colour', 'select', 'null', 'custom_field_definitions_options_check'),
    ('colour', 'select', '''[]''', 'custom_field_definitions_options_check'),
    ('colour', 'select', '''[1]''', 'custom_field_definitions_options_check'),
    ('colour', 'select', '''["red"]''', null)
) as v (key, type, options, wanted);
select tests.as_user('mika.member');
select is(
    tests.error_of($$
        insert into public.custom_field_definitions (organization_id, object, key, label, type)
        values (tests.alder(), 'deal', 'colour', 'Colour', 'text')
    $$),
    '42501',
    'a member defines no fields'
);
select is(count(*), 8::bigint, 'but sees them')
from public.custom_field_definitions;

select * from finish();
rollback;
