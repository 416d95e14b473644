-- Every stable error code that a function raises through private.fail() or private.refuse().
select distinct
    m.found[1]::integer as status,
    m.found[2] as code
from pg_catalog.pg_proc as p
cross join
    lateral pg_catalog.regexp_matches(
        p.prosrc,
        'private\.(?:fail|refuse)\(\s*([0-9]{3}),\s*''([a-z_.]+)''',
        'g'
    ) as m (found)
where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
order by 2, 1
