-- channel: helper body
-- object: private.belongs
-- says: A new helper names its parameter like the column, so the column is compared with itself.
drop policy labels_select on public.labels;
create function private.belongs(org_id uuid)
returns boolean
language sql stable security definer
set search_path = ''
as $$
    select exists (
        select
        from public.organization_members as m
        where m.org_id = org_id
            and m.user_id = (select auth.uid())
            and m.suspended_at is null
            and m.deleted_at is null
    )
$$;
grant execute on function private.belongs(uuid) to authenticated;
create policy labels_select on public.labels for select to authenticated
using (private.belongs(org_id));
-- exploit as adam
select from public.labels where org_id = :org_b;
-- leaks when rows
