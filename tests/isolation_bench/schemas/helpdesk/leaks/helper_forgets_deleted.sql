-- channel: lifecycle
-- object: private.is_member
-- says: The rewritten helper no longer looks at deleted_at, so a removed agent keeps reading.
create or replace function private.is_member(p_org uuid)
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select exists (
        select
        from public.organization_members as m
        join public.organizations as o on o.id = m.org_id
        where m.org_id = p_org
            and m.user_id = (select auth.uid())
            and m.suspended_at is null
            and o.status = 'active'
    )
$$;
-- exploit as dora
select from public.tickets where org_id = :org_a;
-- leaks when rows
