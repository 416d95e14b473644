-- channel: lifecycle
-- object: private.has_role
-- says: A suspended agent can still write, because only the read helper checks the suspension.
create or replace function private.has_role(p_org uuid, p_roles public.member_role [])
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
            and m.role = any (p_roles)
            and m.deleted_at is null
            and o.status = 'active'
    )
$$;
-- exploit as sam
insert into public.customers (org_id, name) values (:org_a, 'Written while suspended');
-- leaks when exists (select from public.customers where name = 'Written while suspended')
