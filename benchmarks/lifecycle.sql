-- One large organization and many small ones.
create schema bench;
create table bench.organizations (n integer primary key, id uuid not null default gen_random_uuid());

create function bench.fill(p_organizations integer, p_rows integer) returns void language plpgsql
as $$
declare
    v_id uuid;
    v_rows integer;
begin
    insert into bench.organizations (n) select generate_series(1, p_organizations);
    insert into auth.users (id, email, aud, role)
    select id, n || '@bench.example', 'authenticated', 'authenticated' from bench.organizations;
    insert into public.organizations (id, name, slug)
    select id, 'Bench ' || n, 'bench-' || n from bench.organizations;
    insert into public.memberships (organization_id, user_id, role)
    select id, id, 'owner' from bench.organizations;
    -- Filling is not what is measured: no triggers.
    set local session_replication_role = replica;
    for v_id, v_rows in
        select id, case when n = 1 then p_rows else 200 end from bench.organizations
    loop
        insert into public.companies (organization_id, id, name, domain, city, owner_id, created_by)
        select v_id, private.uuid_v7(), 'Company ' || i, 'c' || i || '.example', 'Town', v_id, v_id
        from generate_series(1, v_rows / 5) as i;
        insert into public.contacts (
            organization_id, id, company_id, first_name, last_name, email, phone, description,
            owner_id, created_by
        )
        select
            v_id, private.uuid_v7(), c.id, 'First' || c.i, e'Last, "quoted"\n' || k,
            'p' || c.i || '.' || k || '@c.example', '+4930' || 100000 + c.i, repeat('text ', 8), v_id, v_id
        from (
            select id, row_number() over () as i
            from public.companies where organization_id = v_id
        ) as c
        cross join generate_series(1, 4) as k;
    end loop;
end;
$$;
