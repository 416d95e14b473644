-- Files, imports and exports.
begin;
\ir helpers.psql
select no_plan();

-- Files --------------------------------------------------------------------------------------
select tests.as_user('vera.viewer');
select
    results_eq('select f.name from public.files as f', array['offer.pdf'], 'a viewer sees files');
select tests.as_user('rita.rep');
select is(count(*), 0::bigint, 'a sales representative sees no file of others') from public.files;
select
    is(
        tests.error_of(format(
            'insert into public.files (organization_id, id, path, name)'
            ' values (tests.alder(), %L, %L, %L)',
            'ae000000-0000-7000-8000-000000000009', v.path, 'sketch.png'
        )),
        v.wanted,
        'a file at ' || v.path
    )
from (
    values
    (
        'a0000000-0000-7000-8000-000000000001/ae000000-0000-7000-8000-000000000009/sketch.png',
        null
    ),
    (
        'b0000000-0000-7000-8000-000000000001/ae000000-0000-7000-8000-000000000009/sketch.png',
        'files_path_check'
    ),
    (
        'a0000000-0000-7000-8000-000000000001/ae000000-0000-7000-8000-000000000001/offer.pdf',
        'files_path_check'
    ),
    (
        'a0000000-0000-7000-8000-000000000001/ae000000-0000-7000-8000-000000000009/../x/offer.pdf',
        'files_path_check'
    ),
    ('sketch.png', 'files_path_check')
) as v (path, wanted);
select tests.as_user('mika.member');
select is(
    tests.error_of($$
        update public.files set path = path || '.bak'
        where id = 'ae000000-0000-7000-8000-000000000001'
    $$),
    '42501',
    'a file does not move'
);
select is(
    tests.changed($$
        update public.files set name = 'Offer, final.pdf'
        where id = 'ae000000-0000-7000-8000-000000000001'
    $$),
    1::bigint,
    'but can be called something else'
);

-- Imports ------------------------------------------------------------------------------------
select is(count(*), 2::bigint, 'a member sees what became of an import') from public.import_rows;
select is(
    tests.error_of($$
        insert into public.import_jobs (organization_id, object) values (tests.alder(), 'contact')
    $$),
    '42501',
    'but starts none'
);
select tests.as_user('mara.manager');
select lives_ok(
    $$
        insert into public.import_jobs (organization_id, id, object)
        values (tests.alder(), 'af000000-0000-7000-8000-000000000009', 'contact')
    $$,
    'a manager does'
);
select lives_ok(
    $$
        insert into public.import_rows (organization_id, import_job_id, row_number, data)
        values (tests.alder(), 'af000000-0000-7000-8000-000000000009', 1, '{"Name": "Ott"}')
    $$,
    'row by row'
);
select is(
    tests.error_of($$
        update public.import_jobs set status = 'done'
        where id = 'af000000-0000-7000-8000-000000000009'
    $$),
    '42501',
    'how far it is only the worker says'
);
select is(q.status, 'queued', 'she hands it to the worker')
from public.queue_import(tests.alder(), 'af000000-0000-7000-8000-000000000009') as q;
select is(
    tests.error_of(
        $$ select public.queue_import(tests.alder(), 'af000000-0000-7000-8000-000000000009') $$
    ),
    'import.status',
    'once'
);
select is(q.status, 'cancelled', 'and stops it')
from public.cancel_import(tests.alder(), 'af000000-0000-7000-8000-000000000009') as q;
select is(
    tests.error_of(
        $$ select public.cancel_import(tests.alder(), 'af000000-0000-7000-8000-000000000001') $$
    ),
    'import.status',
    'not when it is done'
);
select is(
    tests.error_of(
        $$ select public.queue_import(tests.birch(), 'af000000-0000-7000-8000-000000000009') $$
    ),
    'permission.denied',
    'nor in another organization'
);
select tests.as_user('marc.manager');
select is(
    tests.error_of(
        $$ select public.queue_import(tests.birch(), 'af000000-0000-7000-8000-000000000009') $$
    ),
    'import.not_found',
    'whose managers do not find it'
);
select is(count(*), 0::bigint, 'and see no import of others') from public.import_jobs;

-- Exports ------------------------------------------------------------------------------------
select tests.as_user('adam.admin');
select is(
    tests.error_of($$
        insert into public.export_jobs (organization_id, object) values (tests.alder(), 'contact')
    $$),
    '42501',
    'even an administrator exports nothing without the second factor'
);
select tests.as_user('adam.admin', 'aal2');
select is(
    tests.error_of($$
        insert into public.export_jobs (organization_id, object) values (tests.alder(), 'contact')
    $$),
    null,
    'with it he does'
);
select is(
    tests.error_of($$
        insert into public.export_jobs (organization_id, object, status, row_count)
        values (tests.alder(), 'contact', 'done', 5)
    $$),
    '42501',
    'what comes of it only the worker says'
);
select tests.as_user('mara.manager', 'aal2');
select is(
    tests.error_of($$
        insert into public.export_jobs (organization_id, object) values (tests.alder(), 'contact')
    $$),
    '42501',
    'a manager exports nothing'
);

select * from finish();
rollback;
