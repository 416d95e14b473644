set local lock_timeout = '4s';

-- Lets a GIN index begin with the organization, so that a search reads one tenant's entries.
create extension if not exists btree_gin with schema extensions;

-- Words --------------------------------------------------------------------------------------
-- Full text operators are not leakproof: below a policy they can use no index. So a search is a
-- function that checks the caller once and then asks for one organization by hand.
create function private.search_query(p_query text)
returns tsquery
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    -- The words go through the same door as those of the index, and each need only be the
    -- beginning of one. E-mail addresses, domains and hyphenated names are taken apart first,
    -- so that any part of them can be typed.
    select
        pg_catalog.string_agg(
            pg_catalog.quote_literal(w.lexeme) || ':*', ' & '
        )::tsquery
    from pg_catalog.unnest(
        pg_catalog.to_tsvector(
            'pg_catalog.simple',
            pg_catalog.translate(pg_catalog.left(p_query, 200), '@.-_+/\', '       ')
        )
    ) as w
$$;
comment on function private.search_query(text) is
'What somebody typed as a query: records that have words beginning with each of the words.';

-- Companies ---------------------------------------------------------------------------------
-- The table is still empty.
-- squawk-ignore require-concurrent-index-creation
create index companies_search_idx on public.companies using gin (
    organization_id,
    to_tsvector(
        'pg_catalog.simple',
        translate(
            coalesce(name, '') || ' ' || coalesce(domain, '') || ' '
            || coalesce(city, '') || ' ' || coalesce(industry, ''),
            '@.-_+/\',
            '       '
        )
    )
)
where deleted_at is null;

create function private.search_companies(
    p_organization_id uuid,
    p_query text,
    p_max_results integer
)
returns setof public.companies
language plpgsql
stable
-- Checks the caller itself, because an index cannot be used below the policies.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_reach constant private.reach := private.require_reach(p_organization_id, 'companies.read');
    v_query constant tsquery := private.search_query(p_query);
    v_limit constant integer := least(greatest(coalesce(p_max_results, 50), 0), 500);
    v_common constant integer := 5000;
    v_ids uuid[];
begin
    -- The planner cannot know how common a word is, and either way of running this is very slow
    -- for the wrong one. So look first.
    v_ids := array(
        select f.id
        from (
            select r.id, r.created_at
            from public.companies as r
            where
                r.organization_id = p_organization_id
                and r.deleted_at is null
                and pg_catalog.to_tsvector(
                    'pg_catalog.simple',
                    pg_catalog.translate(
                        coalesce(r.name, '') || ' ' || coalesce(r.domain, '') || ' '
                        || coalesce(r.city, '') || ' ' || coalesce(r.industry, ''),
                        '@.-_+/\',
                        '       '
                    )
                ) @@ v_query
                and (
                    v_reach.everything
                    or r.team_id = any(v_reach.team_ids)
                    or r.owner_id = v_reach.owner_id
                )
            limit v_common + 1
        ) as f
        order by f.created_at desc, f.id
    );
    if pg_catalog.cardinality(v_ids) <= v_common then
        return query
            select r.*
            from pg_catalog.unnest(v_ids[1:v_limit]) with ordinality as f (id, place)
            inner join public.companies as r
                on r.organization_id = p_organization_id and r.id = f.id
            order by f.place;
    else
        -- Going from the newest back, so common a word is met soon and often.
        return query
            select r.*
            from public.companies as r
            where
                r.organization_id = p_organization_id
                and r.deleted_at is null
                and pg_catalog.to_tsvector(
                    'pg_catalog.simple',
                    pg_catalog.translate(
                        coalesce(r.name, '') || ' ' || coalesce(r.domain, '') || ' '
                        || coalesce(r.city, '') || ' ' || coalesce(r.industry, ''),
                        '@.-_+/\',
                        '       '
                    )
                ) @@ v_query
                and (
                    v_reach.everything
                    or r.team_id = any(v_reach.team_ids)
                    or r.owner_id = v_reach.owner_id
                )
            order by r.created_at desc, r.id
            limit v_limit;
    end if;
end;
$$;
comment on function private.search_companies(uuid, text, integer) is
'Finds companies within the reach of the caller.';
grant execute on function private.search_companies(uuid, text, integer) to authenticated;

create function public.search_companies(
    organization_id uuid,
    query text,
    max_results integer default 50
)
returns setof public.companies
language sql
stable
set search_path = pg_catalog, pg_temp
rows 50
as $$
    select * from private.search_companies(
        search_companies.organization_id, search_companies.query, search_companies.max_results
    )
$$;
comment on function public.search_companies(uuid, text, integer) is
'Finds companies by the beginnings of words in name, domain, city or industry.

Newest first, at most 500, none from the bin.
Needs companies.read or one of its narrower forms.';
grant execute on function public.search_companies(uuid, text, integer) to authenticated;

-- Contacts ----------------------------------------------------------------------------------
-- The table is still empty.
-- squawk-ignore require-concurrent-index-creation
create index contacts_search_idx on public.contacts using gin (
    organization_id,
    to_tsvector(
        'pg_catalog.simple',
        translate(
            coalesce(first_name, '') || ' ' || coalesce(last_name, '') || ' '
            || coalesce(email, '') || ' ' || coalesce(phone, '') || ' '
            || coalesce(job_title, ''),
            '@.-_+/\',
            '       '
        )
    )
)
where deleted_at is null;

create function private.search_contacts(
    p_organization_id uuid,
    p_query text,
    p_max_results integer
)
returns setof public.contacts
language plpgsql
stable
-- Checks the caller itself, because an index cannot be used below the policies.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_reach constant private.reach := private.require_reach(p_organization_id, 'contacts.read');
    v_query constant tsquery := private.search_query(p_query);
    v_limit constant integer := least(greatest(coalesce(p_max_results, 50), 0), 500);
    v_common constant integer := 5000;
    v_ids uuid[];
begin
    -- The planner cannot know how common a word is, and either way of running this is very slow
    -- for the wrong one. So look first.
    v_ids := array(
        select f.id
        from (
            select r.id, r.created_at
            from public.contacts as r
            where
                r.organization_id = p_organization_id
                and r.deleted_at is null
                and pg_catalog.to_tsvector(
                    'pg_catalog.simple',
                    pg_catalog.translate(
                        coalesce(r.first_name, '') || ' ' || coalesce(r.last_name, '') || ' '
                        || coalesce(r.email, '') || ' ' || coalesce(r.phone, '') || ' '
                        || coalesce(r.job_title, ''),
                        '@.-_+/\',
                        '       '
                    )
                ) @@ v_query
                and (
                    v_reach.everything
                    or r.team_id = any(v_reach.team_ids)
                    or r.owner_id = v_reach.owner_id
                )
            limit v_common + 1
        ) as f
        order by f.created_at desc, f.id
    );
    if pg_catalog.cardinality(v_ids) <= v_common then
        return query
            select r.*
            from pg_catalog.unnest(v_ids[1:v_limit]) with ordinality as f (id, place)
            inner join public.contacts as r
                on r.organization_id = p_organization_id and r.id = f.id
            order by f.place;
    else
        -- Going from the newest back, so common a word is met soon and often.
        return query
            select r.*
            from public.contacts as r
            where
                r.organization_id = p_organization_id
                and r.deleted_at is null
                and pg_catalog.to_tsvector(
                    'pg_catalog.simple',
                    pg_catalog.translate(
                        coalesce(r.first_name, '') || ' ' || coalesce(r.last_name, '') || ' '
                        || coalesce(r.email, '') || ' ' || coalesce(r.phone, '') || ' '
                        || coalesce(r.job_title, ''),
                        '@.-_+/\',
                        '       '
                    )
                ) @@ v_query
                and (
                    v_reach.everything
                    or r.team_id = any(v_reach.team_ids)
                    or r.owner_id = v_reach.owner_id
                )
            order by r.created_at desc, r.id
            limit v_limit;
    end if;
end;
$$;
comment on function private.search_contacts(uuid, text, integer) is
'Finds contacts within the reach of the caller.';
grant execute on function private.search_contacts(uuid, text, integer) to authenticated;

create function public.search_contacts(
    organization_id uuid,
    query text,
    max_results integer default 50
)
returns setof public.contacts
language sql
stable
set search_path = pg_catalog, pg_temp
rows 50
as $$
    select * from private.search_contacts(
        search_contacts.organization_id, search_contacts.query, search_contacts.max_results
    )
$$;
comment on function public.search_contacts(uuid, text, integer) is
'Finds contacts by the beginnings of words in name, e-mail address, phone number or job title.

Newest first, at most 500, none from the bin.
Needs contacts.read or one of its narrower forms.';
grant execute on function public.search_contacts(uuid, text, integer) to authenticated;

-- Deals -------------------------------------------------------------------------------------
-- The table is still empty.
-- squawk-ignore require-concurrent-index-creation
create index deals_search_idx on public.deals using gin (
    organization_id,
    to_tsvector(
        'pg_catalog.simple',
        translate(
            coalesce(name, '') || ' ' || coalesce(description, ''),
            '@.-_+/\',
            '       '
        )
    )
)
where deleted_at is null;

create function private.search_deals(
    p_organization_id uuid,
    p_query text,
    p_max_results integer
)
returns setof public.deals
language plpgsql
stable
-- Checks the caller itself, because an index cannot be used below the policies.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_reach constant private.reach := private.require_reach(p_organization_id, 'deals.read');
    v_query constant tsquery := private.search_query(p_query);
    v_limit constant integer := least(greatest(coalesce(p_max_results, 50), 0), 500);
    v_common constant integer := 5000;
    v_ids uuid[];
begin
    -- The planner cannot know how common a word is, and either way of running this is very slow
    -- for the wrong one. So look first.
    v_ids := array(
        select f.id
        from (
            select r.id, r.created_at
            from public.deals as r
            where
                r.organization_id = p_organization_id
                and r.deleted_at is null
                and pg_catalog.to_tsvector(
                    'pg_catalog.simple',
                    pg_catalog.translate(
                        coalesce(r.name, '') || ' ' || coalesce(r.description, ''),
                        '@.-_+/\',
                        '       '
                    )
                ) @@ v_query
                and (
                    v_reach.everything
                    or r.team_id = any(v_reach.team_ids)
                    or r.owner_id = v_reach.owner_id
                )
            limit v_common + 1
        ) as f
        order by f.created_at desc, f.id
    );
    if pg_catalog.cardinality(v_ids) <= v_common then
        return query
            select r.*
            from pg_catalog.unnest(v_ids[1:v_limit]) with ordinality as f (id, place)
            inner join public.deals as r
                on r.organization_id = p_organization_id and r.id = f.id
            order by f.place;
    else
        -- Going from the newest back, so common a word is met soon and often.
        return query
            select r.*
            from public.deals as r
            where
                r.organization_id = p_organization_id
                and r.deleted_at is null
                and pg_catalog.to_tsvector(
                    'pg_catalog.simple',
                    pg_catalog.translate(
                        coalesce(r.name, '') || ' ' || coalesce(r.description, ''),
                        '@.-_+/\',
                        '       '
                    )
                ) @@ v_query
                and (
                    v_reach.everything
                    or r.team_id = any(v_reach.team_ids)
                    or r.owner_id = v_reach.owner_id
                )
            order by r.created_at desc, r.id
            limit v_limit;
    end if;
end;
$$;
comment on function private.search_deals(uuid, text, integer) is
'Finds deals within the reach of the caller.';
grant execute on function private.search_deals(uuid, text, integer) to authenticated;

create function public.search_deals(
    organization_id uuid,
    query text,
    max_results integer default 50
)
returns setof public.deals
language sql
stable
set search_path = pg_catalog, pg_temp
rows 50
as $$
    select * from private.search_deals(
        search_deals.organization_id, search_deals.query, search_deals.max_results
    )
$$;
comment on function public.search_deals(uuid, text, integer) is
'Finds deals by the beginnings of words in name or description.

Newest first, at most 500, none from the bin.
Needs deals.read or one of its narrower forms.';
grant execute on function public.search_deals(uuid, text, integer) to authenticated;

-- Activities --------------------------------------------------------------------------------
-- The table is still empty.
-- squawk-ignore require-concurrent-index-creation
create index activities_search_idx on public.activities using gin (
    organization_id,
    to_tsvector(
        'pg_catalog.simple',
        translate(
            coalesce(subject, '') || ' '
            || regexp_replace(left(coalesce(body_html, ''), 20000), '<[^>]*>', ' ', 'g'),
            '@.-_+/\',
            '       '
        )
    )
)
where deleted_at is null;

create function private.search_activities(
    p_organization_id uuid,
    p_query text,
    p_max_results integer
)
returns setof public.activities
language plpgsql
stable
-- Checks the caller itself, because an index cannot be used below the policies.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_reach constant private.reach := private.require_reach(p_organization_id, 'activities.read');
    v_query constant tsquery := private.search_query(p_query);
    v_limit constant integer := least(greatest(coalesce(p_max_results, 50), 0), 500);
    v_common constant integer := 5000;
    v_ids uuid[];
begin
    -- The planner cannot know how common a word is, and either way of running this is very slow
    -- for the wrong one. So look first.
    v_ids := array(
        select f.id
        from (
            select r.id, r.created_at
            from public.activities as r
            where
                r.organization_id = p_organization_id
                and r.deleted_at is null
                and pg_catalog.to_tsvector(
                    'pg_catalog.simple',
                    pg_catalog.translate(
                        coalesce(r.subject, '') || ' '
                        || pg_catalog.regexp_replace(pg_catalog.left(coalesce(r.body_html, ''), 20000), '<[^>]*>', ' ', 'g'),
                        '@.-_+/\',
                        '       '
                    )
                ) @@ v_query
                and (
                    v_reach.everything
                    or r.team_id = any(v_reach.team_ids)
                    or r.owner_id = v_reach.owner_id
                )
            limit v_common + 1
        ) as f
        order by f.created_at desc, f.id
    );
    if pg_catalog.cardinality(v_ids) <= v_common then
        return query
            select r.*
            from pg_catalog.unnest(v_ids[1:v_limit]) with ordinality as f (id, place)
            inner join public.activities as r
                on r.organization_id = p_organization_id and r.id = f.id
            order by f.place;
    else
        -- Going from the newest back, so common a word is met soon and often.
        return query
            select r.*
            from public.activities as r
            where
                r.organization_id = p_organization_id
                and r.deleted_at is null
                and pg_catalog.to_tsvector(
                    'pg_catalog.simple',
                    pg_catalog.translate(
                        coalesce(r.subject, '') || ' '
                        || pg_catalog.regexp_replace(pg_catalog.left(coalesce(r.body_html, ''), 20000), '<[^>]*>', ' ', 'g'),
                        '@.-_+/\',
                        '       '
                    )
                ) @@ v_query
                and (
                    v_reach.everything
                    or r.team_id = any(v_reach.team_ids)
                    or r.owner_id = v_reach.owner_id
                )
            order by r.created_at desc, r.id
            limit v_limit;
    end if;
end;
$$;
comment on function private.search_activities(uuid, text, integer) is
'Finds activities within the reach of the caller.';
grant execute on function private.search_activities(uuid, text, integer) to authenticated;

create function public.search_activities(
    organization_id uuid,
    query text,
    max_results integer default 50
)
returns setof public.activities
language sql
stable
set search_path = pg_catalog, pg_temp
rows 50
as $$
    select * from private.search_activities(
        search_activities.organization_id, search_activities.query, search_activities.max_results
    )
$$;
comment on function public.search_activities(uuid, text, integer) is
'Finds activities by the beginnings of words in subject or text.

Newest first, at most 500, none from the bin.
Needs activities.read or one of its narrower forms.';
grant execute on function public.search_activities(uuid, text, integer) to authenticated;
