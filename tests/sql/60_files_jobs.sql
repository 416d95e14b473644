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

-- Their objects: whoever may do it to the row ------------------------------------------------
select tests.as_owner();
insert into public.files (organization_id, id, path, name, owner_id)
select
    tests.alder() as organization_id,
    f.id::uuid,
    tests.alder()::text || '/' || f.id || '/plan.pdf' as path,
    'plan.pdf' as name,
    tests.person(f.who) as owner_id
from (
    values
    ('ae000000-0000-7000-8000-0000000000d1', 'mika.member'),
    ('ae000000-0000-7000-8000-0000000000d2', 'adam.admin'),
    ('ae000000-0000-7000-8000-0000000000d3', 'adam.admin'),
    ('ae000000-0000-7000-8000-0000000000d4', 'adam.admin'),
    ('ae000000-0000-7000-8000-0000000000d5', 'mika.member')
) as f (id, who);
create function tests.object(file text) returns text language sql stable
as $$
    select f.path from public.files as f where f.id::text like '%' || file
$$;
grant execute on function tests.object(text) to authenticated;
-- The object of d3 was put there by the member whose file it was before; d4 has none yet.
insert into storage.objects (bucket_id, name, owner_id)
select
    'crm' as bucket_id,
    tests.object(o.file) as name,
    tests.person(o.who)::text as owner_id
from (
    values ('d1', 'mika.member'), ('d2', 'adam.admin'), ('d3', 'mika.member')
) as o (file, who);
-- As the Storage API does.
select set_config('storage.allow_delete_query', 'true', true);
select tests.as_user('mika.member');
select is(count(*), 3::bigint, 'a member opens the objects of all files')
from storage.objects as o
where o.name like '%/plan.pdf';
select
    is(
        tests.changed(format('delete from storage.objects where name = %L', tests.object(v.file))),
        v.wanted,
        'and deletes that of ' || v.what
    )
from (
    values
    ('d2', 'no colleague', 0::bigint),
    ('d3', 'no file that was handed over', 0),
    ('d1', 'his own file', 1)
) as v (file, what, wanted);
select
    is(
        tests.error_of(format(
            'insert into storage.objects (bucket_id, name, owner_id) values (''crm'', %L, %L)',
            tests.object(v.file), tests.person('mika.member')
        )),
        v.wanted,
        'he uploads that of ' || v.what
    )
from (
    values ('d4', 'no colleague', '42501'), ('d1', 'his own file', null)
) as v (file, what, wanted);
select is(
    tests.changed(format(
        'update storage.objects set metadata = ''{}'' where name = %L', tests.object('d3')
    )),
    0::bigint,
    'he does not replace what he uploaded once the file is a colleague''s'
);
select is(
    tests.changed(format(
        'update storage.objects set name = %L where name = %L',
        tests.object('d5'), tests.object('d3')
    )),
    0::bigint,
    'nor takes it away under another name'
);
select tests.as_owner();
insert into storage.objects (bucket_id, name, owner_id)
values ('crm', tests.object('d1'), tests.person('mika.member')::text);
select tests.as_user('mika.member');
select is(
    tests.error_of(format(
        'update storage.objects set name = %L where name = %L',
        tests.object('d4'), tests.object('d1')
    )),
    '42501',
    'nor gives what is his the name of a colleague''s file'
);
select is(
    tests.changed(format(
        'update storage.objects set metadata = ''{}'' where name = %L', tests.object('d1')
    )),
    1::bigint,
    'what is his he replaces'
);
select is(
    tests.changed(format(
        'update storage.objects set name = %L where name = %L',
        tests.object('d5'), tests.object('d1')
    )),
    1::bigint,
    'and moves to another file of his'
);
select tests.as_user('olga.owner');
select is(
    tests.changed('delete from storage.objects where name like ''%/plan.pdf'''),
    3::bigint,
    'whoever may delete all files deletes all objects'
);

select * from finish();
rollback;
