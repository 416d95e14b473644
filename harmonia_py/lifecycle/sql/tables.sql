with chosen as (
    select
        'public.organizations'::regclass as relation,
        -1 as place,
        'id' as tenant
    union all
    select
        t.relation,
        t.place,
        'organization_id' as tenant
    from private.tenant_tables() as t
    where
        (not %(exported)s or t.exported)
        -- The export writes there itself while it reads.
        and t.relation <> 'public.organization_exports'::regclass
)

select
    n.nspname,
    c.relname,
    t.tenant,
    (
        select pg_catalog.array_agg(a.attname::text order by a.attnum)
        from pg_catalog.pg_attribute as a
        where
            a.attrelid = t.relation
            and a.attnum > 0
            and not a.attisdropped
            and a.attgenerated = ''
    ) as columns,
    coalesce(
        (
            select pg_catalog.array_agg(a.attname::text order by k.place)
            from pg_catalog.pg_constraint as p
            cross join lateral pg_catalog.unnest(p.conkey) with ordinality as k (attnum, place)
            inner join pg_catalog.pg_attribute as a
                on p.conrelid = a.attrelid and k.attnum = a.attnum
            where p.conrelid = t.relation and p.contype = 'p'
        ),
        '{}'
    ) as key
from chosen as t
inner join pg_catalog.pg_class as c on t.relation = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
order by t.place, n.nspname, c.relname
