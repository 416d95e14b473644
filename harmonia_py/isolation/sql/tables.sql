-- One row per relation outside the system catalogs: everything the harness wants to know of it.
-- %(roles)s: the API roles that exist; %(only)s: oids, or null for all. Runs with an empty search path, so that every expression
-- is deparsed with qualified names.
with relation as (
    select
        c.oid,
        n.nspname,
        c.relname,
        c.relkind,
        c.relowner,
        c.relrowsecurity,
        c.relforcerowsecurity,
        c.reloptions,
        c.reltuples,
        c.relispartition,
        c.relpartbound
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where
        c.relkind in ('r', 'p', 'v', 'm', 'f')
        and (%(only)s::oid [] is null or c.oid = any(%(only)s::oid []))
        and n.nspname not in ('pg_catalog', 'information_schema')
        and n.nspname not like 'pg\_%%'
        and not exists (
            select from pg_catalog.pg_depend as d
            where
                d.classid = 'pg_catalog.pg_class'::regclass
                and d.objid = c.oid
                and d.deptype = 'e'
        )
)

select
    r.oid::bigint as oid,
    r.nspname as schema,
    r.relname as name,
    r.relkind::text as kind,
    pg_catalog.pg_get_userbyid(r.relowner) as owner,
    r.relrowsecurity as rls,
    r.relforcerowsecurity as forced,
    r.reltuples as rows,
    coalesce(r.reloptions, '{}') as options,
    pg_catalog.obj_description(r.oid, 'pg_class') as comment,
    case when r.relispartition then pg_catalog.pg_get_expr(r.relpartbound, r.oid) end as bound,
    case
        when r.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(r.oid)
    end as definition,
    (
        select pn.nspname || '.' || pc.relname
        from pg_catalog.pg_inherits as i
        inner join pg_catalog.pg_class as pc on pc.oid = i.inhparent
        inner join pg_catalog.pg_namespace as pn on pn.oid = pc.relnamespace
        where i.inhrelid = r.oid and r.relispartition
        limit 1
    ) as parent,
    r.relkind = 'r' and exists (
        select 1 from pg_catalog.pg_inherits as heir where heir.inhparent = r.oid
    ) as inherited,
    (
        select coalesce(jsonb_agg(role.name), '[]')
        from unnest(%(roles)s::text []) as role (name)
        inner join pg_catalog.pg_roles as u on u.rolname = role.name
        where
            u.rolsuper
            or u.rolbypassrls
            or (pg_catalog.pg_has_role(u.oid, r.relowner, 'USAGE') and not r.relforcerowsecurity)
    ) as exempt,
    (
        select coalesce(jsonb_agg(jsonb_build_array(role.name, privilege.name)), '[]')
        from unnest(%(roles)s::text []) as role (name)
        cross join unnest(
            array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']
        ) as privilege (name)
        where pg_catalog.has_table_privilege(role.name, r.oid, privilege.name)
    ) as privileges,
    (
        select coalesce(jsonb_agg(role.name), '[]')
        from unnest(%(roles)s::text []) as role (name)
        where pg_catalog.has_schema_privilege(role.name, r.nspname, 'USAGE')
    ) as usage,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'name', a.attname,
            'number', a.attnum,
            'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
            'base', pg_catalog.format_type(coalesce(bt.oid, t.oid), null),
            'category', coalesce(bt.typcategory, t.typcategory),
            'typtype', coalesce(bt.typtype, t.typtype),
            'not_null', a.attnotnull or t.typnotnull,
            'old_nulls', exists (
                select from pg_catalog.pg_constraint as k
                where
                    k.conrelid = r.oid
                    and k.contype = 'n'
                    and k.conkey = array[a.attnum]
                    and not k.convalidated
            ),
            'default', coalesce(
                case
                    when a.attgenerated = '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid)
                end,
                t.typdefault
            ),
            'generated', a.attgenerated <> '',
            'identity', a.attidentity,
            'labels', (
                select jsonb_agg(e.enumlabel order by e.enumsortorder)
                from pg_catalog.pg_enum as e where e.enumtypid = coalesce(bt.oid, t.oid)
            ),
            'element', case
                when coalesce(bt.typcategory, t.typcategory) = 'A'
                    then pg_catalog.format_type(coalesce(bt.typelem, t.typelem), null)
            end,
            'typmod', case
                when t.typtype = 'd' then t.typtypmod else a.atttypmod
            end,
            'domain_checks', (
                select jsonb_agg(pg_catalog.pg_get_constraintdef(k.oid))
                from pg_catalog.pg_constraint as k
                where k.contypid = t.oid and t.typtype = 'd' and k.contype = 'c'
            ),
            'comment', pg_catalog.col_description(r.oid, a.attnum),
            'collation', (
                select k.collname from pg_catalog.pg_collation as k
                where k.oid = a.attcollation and not k.collisdeterministic
            ),
            'privileges', (
                select jsonb_agg(jsonb_build_array(role.name, privilege.name))
                from unnest(%(roles)s::text []) as role (name)
                cross join unnest(array['SELECT', 'INSERT', 'UPDATE']) as privilege (name)
                where pg_catalog.has_column_privilege(role.name, r.oid, a.attnum, privilege.name)
            )
        ) order by a.attnum), '[]')
        from pg_catalog.pg_attribute as a
        inner join pg_catalog.pg_type as t on t.oid = a.atttypid
        left join pg_catalog.pg_type as bt on t.typtype = 'd' and bt.oid = t.typbasetype
        left join pg_catalog.pg_attrdef as d on d.adrelid = r.oid and d.adnum = a.attnum
        where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    ) as columns,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'name', k.conname,
            'type', k.contype,
            'columns', (
                select coalesce(jsonb_agg(a.attname order by o.n), '[]')
                from unnest(k.conkey) with ordinality as o (num, n)
                inner join pg_catalog.pg_attribute as a
                    on a.attrelid = k.conrelid and a.attnum = o.num
            ),
            'target', (
                select fn.nspname || '.' || fc.relname
                from pg_catalog.pg_class as fc
                inner join pg_catalog.pg_namespace as fn on fn.oid = fc.relnamespace
                where fc.oid = k.confrelid
            ),
            'ref_columns', (
                select coalesce(jsonb_agg(a.attname order by o.n), '[]')
                from unnest(k.confkey) with ordinality as o (num, n)
                inner join pg_catalog.pg_attribute as a
                    on a.attrelid = k.confrelid and a.attnum = o.num
            ),
            'on_delete', k.confdeltype,
            'deferrable', k.condeferrable,
            'validated', k.convalidated,
            'expression', case
                when k.contype = 'c' then pg_catalog.pg_get_expr(k.conbin, k.conrelid)
            end,
            'definition', pg_catalog.pg_get_constraintdef(k.oid)
        ) order by k.conname), '[]')
        from pg_catalog.pg_constraint as k
        where k.conrelid = r.oid and k.contype in ('c', 'f', 'x')
    ) as constraints,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'name', ic.relname,
            'columns', (
                select coalesce(jsonb_agg(a.attname order by o.n), '[]')
                from unnest(i.indkey::int2 []) with ordinality as o (num, n)
                inner join pg_catalog.pg_attribute as a
                    on a.attrelid = r.oid and a.attnum = o.num
                where o.n <= i.indnkeyatts
            ),
            'primary', i.indisprimary,
            'predicate', pg_catalog.pg_get_expr(i.indpred, i.indrelid),
            'expressions', i.indexprs is not null,
            'deferrable', not i.indimmediate,
            'definition', pg_catalog.pg_get_indexdef(i.indexrelid)
        ) order by ic.relname), '[]')
        from pg_catalog.pg_index as i
        inner join pg_catalog.pg_class as ic on ic.oid = i.indexrelid
        -- An index that could not be built says nothing of the rows there are.
        where i.indrelid = r.oid and i.indisunique and i.indisvalid
    ) as uniques,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'name', p.polname,
            'command', p.polcmd,
            'permissive', p.polpermissive,
            'roles', (
                select jsonb_agg(
                    case when u.oid = 0 then 'public' else pg_catalog.pg_get_userbyid(u.oid) end
                )
                from unnest(p.polroles) as u (oid)
            ),
            'heirs', (
                select coalesce(jsonb_agg(role.name), '[]')
                from unnest(%(roles)s::text []) as role (name)
                where exists (
                    select 1
                    from unnest(p.polroles) as u (oid)
                    where u.oid <> 0 and pg_catalog.pg_has_role(role.name, u.oid, 'USAGE')
                )
            ),
            'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
            'check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
        ) order by p.polname), '[]')
        from pg_catalog.pg_policy as p
        where p.polrelid = r.oid
    ) as policies,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'name', g.tgname,
            'function', fn.nspname || '.' || f.proname,
            'definition', pg_catalog.pg_get_triggerdef(g.oid)
        ) order by g.tgname), '[]')
        from pg_catalog.pg_trigger as g
        inner join pg_catalog.pg_proc as f on f.oid = g.tgfoid
        inner join pg_catalog.pg_namespace as fn on fn.oid = f.pronamespace
        where g.tgrelid = r.oid and not g.tgisinternal and g.tgenabled in ('O', 'A')
    ) as triggers,
    (
        select coalesce(jsonb_agg(distinct sn.nspname || '.' || sc.relname), '[]')
        from pg_catalog.pg_rewrite as w
        inner join pg_catalog.pg_depend as d
            on
                d.classid = 'pg_catalog.pg_rewrite'::regclass
                and d.objid = w.oid
                and d.refclassid = 'pg_catalog.pg_class'::regclass
        inner join pg_catalog.pg_class as sc on sc.oid = d.refobjid
        inner join pg_catalog.pg_namespace as sn on sn.oid = sc.relnamespace
        where w.ev_class = r.oid and sc.oid <> r.oid
    ) as sources
from relation as r
order by r.nspname, r.relname
