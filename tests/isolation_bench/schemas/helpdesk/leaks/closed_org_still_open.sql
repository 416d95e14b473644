-- channel: lifecycle
-- object: private.is_member
-- says: Members of a closed organization can still read everything.
create or replace function private.is_member(p_org uuid)
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select exists (
        select
        from public.organization_members as m
        where m.org_id = p_org
            and m.user_id = (select auth.uid())
            and m.suspended_at is null
            and m.deleted_at is null
    )
$$;
-- exploit as carl
select from public.tickets where org_id = :org_c;
-- leaks when rows
