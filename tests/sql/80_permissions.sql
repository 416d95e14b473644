-- The permission table itself, and the shape of the catalog that rests on it.
begin;
\ir helpers.psql
select no_plan();

-- Roles contain one another -------------------------------------------------------------------
select
    is_empty(
        format(
            $$
            select b.permission
            from public.builtin_role_permissions as b
            where b.role = %L
            except
            select b.permission
            from public.builtin_role_permissions as b
            where b.role = %L
        $$,
            r.lower, r.higher
        ),
        format('whatever a %s may do, a %s may', r.lower, r.higher)
    )
from (
    values ('viewer', 'member'), ('member', 'manager'), ('manager', 'admin'), ('admin', 'owner')
) as r (lower, higher);
select
    isnt_empty(
        format(
            $$
            select b.permission
            from public.builtin_role_permissions as b
            where b.role = %L
            except
            select b.permission
            from public.builtin_role_permissions as b
            where b.role = %L
        $$,
            r.higher, r.lower
        ),
        format('and a %s may do more than a %s', r.higher, r.lower)
    )
from (
    values ('viewer', 'member'), ('member', 'manager'), ('manager', 'admin'), ('admin', 'owner')
) as r (lower, higher);
select is_empty(
    $$
        select p.key
        from public.permissions as p
        where p.key ~ '\.(write|delete)(_team|_own)?$' and not p.writes
    $$,
    'what writes or deletes says that it does'
);
select is_empty(
    $$
        select b.permission
        from public.builtin_role_permissions as b
        inner join public.permissions as p on b.permission = p.key
        where b.role = 'viewer' and p.writes
    $$,
    'a viewer writes nothing'
);

-- Every key that a policy or function names exists, and every key is named --------------------
create function tests.named_permissions() returns setof text language sql stable
as $$
    select distinct m.key[1]
    from (
        select coalesce(pg_get_expr(p.polqual, p.polrelid), '')
            || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') as source
        from pg_policy as p
        union all
        select f.prosrc
        from pg_proc as f
        where f.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
    ) as s
    cross join lateral regexp_matches(s.source, '''([a-z_]+\.[a-z_]+)''', 'g') as m (key)
$$;
select is_empty(
    $$
        select p.permission
        from (
            select (regexp_matches(
                coalesce(pg_get_expr(p.polqual, p.polrelid), '')
                || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''),
                '''([a-z_]+\.[a-z_]+)''', 'g'
            ))[1] as permission
            from pg_policy as p
            where p.polrelid::regclass::text !~ '^(storage|realtime|auth|cron)\.'
        ) as p
        where not exists (select 1 from public.permissions as q where q.key = p.permission)
    $$,
    'every permission that a policy asks for exists'
);
select is_empty(
    $$
        select p.key
        from public.permissions as p
        where
            split_part(p.key, '.', 1) in (
                'companies', 'contacts', 'deals', 'activities', 'conversations', 'files',
                'pipelines', 'tags', 'custom_fields', 'imports', 'exports'
            )
            and p.key not in (select n.* from tests.named_permissions() as n)
    $$,
    'every permission of the CRM means something'
);

-- Tables -------------------------------------------------------------------------------------
create view tests.tenant_tables as
select c.oid::regclass as name, c.relname
from pg_class as c
inner join pg_attribute as a on c.oid = a.attrelid and a.attname = 'organization_id'
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p');
select cmp_ok(count(*), '>=', 24::bigint, 'there are tenant tables to look at')
from tests.tenant_tables;
select is_empty(
    $$
        select c.oid::regclass
        from pg_class as c
        where
            c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
            and c.relkind in ('r', 'p')
            and not (c.relrowsecurity and c.relforcerowsecurity)
    $$,
    'row level security is enabled and forced everywhere'
);
select is_empty(
    $$
        select t.name
        from tests.tenant_tables as t
        where not exists (
            select 1
            from pg_index as i
            inner join pg_attribute as a
                on i.indrelid = a.attrelid and a.attnum = i.indkey[0]
            where i.indrelid = t.name and i.indisprimary and a.attname = 'organization_id'
        )
        and t.relname <> 'user_settings'
    $$,
    'every primary key begins with the organization'
);
select is_empty(
    $$
        select k.conrelid::regclass, k.conname
        from pg_constraint as k
        inner join tests.tenant_tables as child on k.conrelid = child.name
        inner join tests.tenant_tables as parent on k.confrelid = parent.name
        where
            k.contype = 'f'
            and not exists (
                select 1
                from unnest(k.conkey, k.confkey) as c (child_key, parent_key)
                inner join pg_attribute as a
                    on k.confrelid = a.attrelid and c.parent_key = a.attnum
                where a.attname = 'organization_id'
            )
    $$,
    'every reference between tenant tables carries the organization'
);
select is_empty(
    $$
        select i.indexrelid::regclass
        from pg_index as i
        inner join tests.tenant_tables as t on i.indrelid = t.name
        inner join pg_attribute as a on i.indrelid = a.attrelid and a.attnum = i.indkey[0]
        where
            i.indisunique
            and a.attname <> 'organization_id'
            and i.indexrelid::regclass::text not in ('api_keys_id_key', 'user_settings_pkey')
    $$,
    'what is unique is unique inside an organization'
);
select is_empty(
    $$
        select k.conrelid::regclass, k.conname
        from pg_constraint as k
        where
            k.contype = 'f'
            and k.connamespace in ('public'::regnamespace, 'private'::regnamespace)
            and not exists (
                select 1
                from pg_index as i
                where
                    i.indrelid = k.conrelid
                    and (
                        (
                            select array_agg(x order by x)
                            from unnest(k.conkey) as x
                        ) = (
                            select array_agg(x order by x)
                            from unnest((i.indkey::smallint[])[0:cardinality(k.conkey) - 1]) as x
                        )
                        -- A key among its columns leads to the one row as well.
                        or (i.indisunique and i.indkey::smallint[] <@ k.conkey)
                    )
            )
    $$,
    'every foreign key has an index on its own side'
);
select is_empty(
    $$
        select t.name
        from tests.tenant_tables as t
        where
            exists (
                select 1
                from pg_attribute as a
                where a.attrelid = t.name and a.attname = 'id'
            )
            and not exists (
                select 1
                from pg_trigger as g
                inner join pg_proc as p on g.tgfoid = p.oid
                where
                    g.tgrelid = t.name
                    and (p.proname like '%immutable%' or p.proname like '%refuse%')
            )
            and has_table_privilege('authenticated', t.name, 'update')
    $$,
    'keys cannot change where rows can'
);

-- Policies -----------------------------------------------------------------------------------
select is_empty(
    $$
        select p.polrelid::regclass, p.polname
        from pg_policy as p
        inner join tests.tenant_tables as t on p.polrelid = t.name
        where
            p.polname <> 'never_estimated'
            and (
                p.polroles && array[0::oid, 'anon'::regrole::oid]
                or p.polcmd = '*'
                or not p.polpermissive
                or 'true' in (
                    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
                )
                or obj_description(p.oid, 'pg_policy') is null
            )
    $$,
    'policies are for named roles, for one command, with a condition and a sentence'
);
select is_empty(
    $$
        select t.name
        from tests.tenant_tables as t
        where not exists (
            select 1
            from pg_policy as p
            where
                p.polrelid = t.name
                and p.polname = 'never_estimated'
                and p.polcmd = 'r'
                and not p.polpermissive
                and p.polroles @> array['anon'::regrole::oid, 'authenticated'::regrole::oid]
                and pg_get_expr(p.polqual, p.polrelid) = 'private.never_estimated()'
        )
    $$,
    'no table shows what the planner expects of it'
);
select is(
    (
        select p.provolatile
        from pg_proc as p
        where p.oid = 'private.never_estimated()'::regprocedure
    ),
    'i',
    'the refusal of estimates is run while a statement is planned'
);
select is_empty(
    $$
        select r.name, v.command
        from (values ('select'), ('insert'), ('update'), ('delete')) as v (command)
        cross join tests.tenant_tables as r
        where
            r.relname in (
                'companies', 'contacts', 'deals', 'activities', 'conversations', 'files',
                'pipelines', 'pipeline_stages', 'tags', 'custom_field_definitions', 'import_jobs',
                'deal_contacts', 'call_transcripts'
            )
            and not exists (
                select 1
                from pg_policy as p
                where p.polrelid = r.name and p.polname = v.command || '_member'
            )
    $$,
    'records and configuration have all four policies'
);
select is_empty(
    $$
        select p.polrelid::regclass, p.polname
        from pg_policy as p
        inner join tests.tenant_tables as t on p.polrelid = t.name
        where
            (coalesce(pg_get_expr(p.polqual, p.polrelid), '')
                || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''))
            ~ 'user_metadata|raw_user_meta_data'
    $$,
    'no policy believes what users say of themselves'
);
select is_empty(
    $$
        select t.name
        from tests.tenant_tables as t
        where
            has_table_privilege('anon', t.name, 'select, insert, update, delete, truncate')
            or has_any_column_privilege('anon', t.name, 'select, insert, update')
            or has_table_privilege('authenticated', t.name, 'truncate, references, trigger')
    $$,
    'visitors hold no privilege, and nobody may truncate'
);
select is_empty(
    $$
        select t.name, a.attname
        from tests.tenant_tables as t
        inner join pg_attribute as a on t.name = a.attrelid
        where
            a.attname in ('deleted_at', 'created_by', 'created_at', 'updated_at')
            and t.relname in (
                'companies', 'contacts', 'deals', 'activities', 'conversations', 'files'
            )
            and (
                has_column_privilege('authenticated', t.name, a.attname, 'insert')
                or has_column_privilege('authenticated', t.name, a.attname, 'update')
            )
    $$,
    'what the database keeps, no client writes'
);

-- Functions ----------------------------------------------------------------------------------
select is_empty(
    $$
        select p.oid::regprocedure
        from pg_proc as p
        where
            p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
            and p.prosecdef
            and p.pronamespace = 'public'::regnamespace
    $$,
    'no exposed function has rights of its own'
);
select is_empty(
    $$
        select p.oid::regprocedure
        from pg_proc as p
        where
            p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
            and not exists (
                select 1 from unnest(p.proconfig) as c where c = 'search_path=pg_catalog, pg_temp'
            )
            -- A procedure that commits may not; then only its owner may call it.
            and not (
                p.prokind = 'p'
                and not p.prosecdef
                and not has_function_privilege('authenticated', p.oid, 'execute')
                and not has_function_privilege('service_role', p.oid, 'execute')
            )
    $$,
    'every function fixes its search path'
);
select is_empty(
    $$
        select p.oid::regprocedure
        from pg_proc as p
        where
            p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
            and exists (
                select 1
                from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
                where a.grantee = 0
            )
    $$,
    'and none can be called by just anybody'
);
select is_empty(
    $$
        select p.proname
        from pg_proc as p
        where p.proname in ('org_ids', 'team_ids') and p.provolatile <> 's'
    $$,
    'what policies call is stable'
);

-- Who is spared the look at owner and team ---------------------------------------------------
create function tests.whole(permission text)
returns bigint
language sql
set search_path = ''
as $$
    select count(*) from private.my_seats as s where s.rights && private.codes(permission)
$$;
grant execute on function tests.whole(text) to public;
select tests.as_user('adam.admin');
select is(tests.whole('contacts.write'), 1::bigint, 'an admin reaches a whole organization');
select tests.as_user('mika.member');
select is(tests.whole('contacts.write'), 0::bigint, 'a member writes less than everything');
select is(tests.whole('tags.read'), 1::bigint, 'but reads all the tags');
select tests.as_user('bea.both');
select is(tests.whole('contacts.write'), 1::bigint, 'an admin elsewhere is a member here');
select is(tests.whole('tags.read'), 2::bigint, 'who reads the tags of both');
select tests.as_user('rita.rep');
select is(tests.whole('contacts.read'), 0::bigint, 'a custom role may reach less');
select is(tests.whole('companies.read'), 1::bigint, 'or everything');
select set_config('request.jwt.claims', '{"role": "authenticated"}', true);
select is(tests.whole('companies.read'), 0::bigint, 'nothing is ready for who has no account');

-- An administrator here who is let in elsewhere, for the records of their own.
select tests.as_owner();
insert into private.support_grants (
    organization_id, agent_id, permission, reason, approved_by, expires_at
)
values (
    tests.birch(), tests.person('adam.admin'), 'contacts.read_own', 'looks after his own',
    tests.person('otto.owner'), now() + interval '1 hour'
);
select tests.as_user('adam.admin', 'aal2');
select is(tests.whole('contacts.read'), 0::bigint, 'whoever has a grant is asked anew each time');
select isnt(count(*), 0::bigint, 'he sees what his seat shows') from public.contacts;
select is(count(*), 0::bigint, 'and nothing that is not his where he is let in')
from public.contacts
where organization_id = tests.birch();
select tests.as_owner();
update private.support_grants set permission = 'contacts.read'
where agent_id = tests.person('adam.admin');
select tests.as_user('adam.admin', 'aal2');
select isnt(count(*), 0::bigint, 'unless he is let in to everything')
from public.contacts
where organization_id = tests.birch();
select tests.as_owner();

select * from finish();
rollback;
