-- channel: policy rewrite
-- object: public.activities
-- says: An update policy whose check repeats its using clause may leave the check out.
drop policy "sellers update" on public.activities;
create policy "sellers update" on public.activities for update to authenticated
using (
    account_id in (
        select m.account_id
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and m.role <> 'reader'
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    )
);
-- request as adam
update public.activities set summary = 'Edited' where account_id = :org_a returning id;
-- works when rows
