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
                jsonb_build_array(
                    a.attname,
                    case
                        when a.atttypmod < 0 then f.typname
                        else pg_catalog.format_type(a.atttypid, a.atttypmod)
                    end
                )
                order by a.attnum
            )
            from pg_catalog.pg_attribute as a
            inner join pg_catalog.pg_type as f on f.oid = a.atttypid
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
