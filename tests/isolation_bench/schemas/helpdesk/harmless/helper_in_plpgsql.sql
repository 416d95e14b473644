-- channel: helper rewrite
-- object: private.is_member
-- says: The same helper in plpgsql, with an early exit.
create or replace function private.is_member(p_org uuid)
returns boolean
language plpgsql stable security definer
set search_path = ''
as $$
begin
    if auth.uid() is null then
        return false;
    end if;
    return exists (
        select
        from public.organizations as o
        join public.organization_members as m on m.org_id = o.id
        where o.id = p_org
            and o.status = 'active'
            and m.user_id = auth.uid()
            and m.deleted_at is null
            and m.suspended_at is null
    );
end
$$;
-- request as adam
select from public.tickets where org_id = :org_a;
-- works when rows
