select
    (
        select pg_catalog.count(*)
        from pg_catalog.pg_namespace as n
        where
            n.nspname not in ('pg_catalog', 'information_schema', 'public')
            and n.nspname not like 'pg\_%'
    )
    + (
        select pg_catalog.count(*)
        from pg_catalog.pg_class as c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
    ) as objects
