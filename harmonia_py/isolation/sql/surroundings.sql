-- One row: the server, sequences, composite types, publications and default privileges.
-- %(roles)s: the API roles that exist.
select
    current_setting('server_version_num')::int as version,
    current_setting('is_superuser') = 'on' as superuser,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'schema', n.nspname,
            'name', c.relname,
            'privileges', (
                select coalesce(jsonb_agg(jsonb_build_array(role.name, privilege.name)), '[]')
                from unnest(%(roles)s::text []) as role (name)
                cross join unnest(array['USAGE', 'SELECT', 'UPDATE']) as privilege (name)
                where pg_catalog.has_sequence_privilege(role.name, c.oid, privilege.name)
            )
        )), '[]')
        from pg_catalog.pg_class as c
        inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where
            c.relkind = 'S'
            and n.nspname not in ('pg_catalog', 'information_schema')
            and n.nspname not like 'pg\_%%'
    ) as sequences,
    (
        select coalesce(jsonb_object_agg(n.nspname || '.' || t.typname, (
            select jsonb_agg(
                jsonb_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
                order by a.attnum
            )
            from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid and not a.attisdropped
        )), '{}')
        from pg_catalog.pg_class as c
        inner join pg_catalog.pg_type as t on t.oid = c.reltype
        inner join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
        where
            c.relkind = 'c'
            and n.nspname not in ('pg_catalog', 'information_schema')
            and n.nspname not like 'pg\_%%'
    ) as composites,
    (
        -- What is under a domain, with the length that it has; '' where it has a collation too.
        with recursive under (key, base, typmod, collated) as (
            select
                pg_catalog.format_type(t.oid, null),
                t.typbasetype,
                t.typtypmod,
                t.typcollation <> b.typcollation
            from pg_catalog.pg_type as t
            inner join pg_catalog.pg_type as b on b.oid = t.typbasetype
            where t.typtype = 'd'
            union all
            select
                u.key,
                t.typbasetype,
                t.typtypmod,
                u.collated or t.typcollation <> b.typcollation
            from under as u
            inner join pg_catalog.pg_type as t on t.oid = u.base and t.typtype = 'd'
            inner join pg_catalog.pg_type as b on b.oid = t.typbasetype
        )
        select coalesce(jsonb_object_agg(u.key, case
            when u.collated then '' else pg_catalog.format_type(u.base, u.typmod)
        end), '{}')
        from under as u
        inner join pg_catalog.pg_type as t on t.oid = u.base
        where t.typtype <> 'd'
    ) as domains,
    (
        select coalesce(jsonb_agg(pg_catalog.format_type(t.oid, null)), '[]')
        from pg_catalog.pg_type as t
        where t.typtype = 'e'
    ) as enums,
    (
        select coalesce(jsonb_agg(distinct p.proname), '[]')
        from pg_catalog.pg_proc as p
        where p.prokind = 'a' and p.pronamespace <> 'pg_catalog'::regnamespace
    ) as aggregates,
    (
        select coalesce(jsonb_agg(distinct p.proname), '[]')
        from pg_catalog.pg_proc as p
        where p.prokind = 'f' and p.provolatile = 'v' and p.prorettype <> 'trigger'::regtype
    ) as volatile,
    (
        select coalesce(jsonb_agg(distinct o.oprname), '[]')
        from pg_catalog.pg_operator as o
        where
            o.oprnamespace <> 'pg_catalog'::regnamespace
            and not exists (
                select from pg_catalog.pg_depend as d
                where
                    d.classid = 'pg_catalog.pg_operator'::regclass
                    and d.objid = o.oid
                    and d.deptype = 'e'
            )
    ) as operators,
    (
        select coalesce(jsonb_agg(jsonb_build_array(
            pg_catalog.format_type(c.castsource, null), pg_catalog.format_type(c.casttarget, null)
        )), '[]')
        from pg_catalog.pg_cast as c
        where
            c.oid >= 16384
            and not exists (
                select from pg_catalog.pg_depend as d
                where
                    d.classid = 'pg_catalog.pg_cast'::regclass
                    and d.objid = c.oid
                    and d.deptype = 'e'
            )
    ) as casts,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'name', t.pubname, 'table', t.schemaname || '.' || t.tablename
        )), '[]')
        from pg_catalog.pg_publication_tables as t
    ) as publications,
    (
        select coalesce(
            jsonb_agg(distinct jsonb_build_array(
                case when a.grantee = 0 then 'public' else pg_catalog.pg_get_userbyid(a.grantee) end,
                a.privilege_type
            )),
            '[]'
        )
        from pg_catalog.pg_default_acl as d
        cross join lateral pg_catalog.aclexplode(d.defaclacl) as a
        left join pg_catalog.pg_namespace as n on n.oid = d.defaclnamespace
        where d.defaclobjtype = 'r' and (n.nspname is null or n.nspname = 'public')
    ) as default_privileges,
    (
        select max(substring(s.setting from 'pgrst\.db_schemas=(.*)'))
        from pg_catalog.pg_db_role_setting as r
        inner join pg_catalog.pg_roles as o on o.oid = r.setrole
        cross join lateral unnest(r.setconfig) as s (setting)
        where o.rolname = 'authenticator' and s.setting like 'pgrst.db_schemas=%%'
    ) as schemas
