-- channel: column privilege
-- object: public.invites
-- says: A table-wide grant makes the invitation tokens readable to agents as well.
grant select on public.invites to authenticated;
drop policy invites_select on public.invites;
create policy invites_select on public.invites for select to authenticated
using (private.is_member(org_id) or email = auth.jwt() -> 'user_metadata' ->> 'email');
-- exploit as mallory with {"user_metadata": {"email": "ivan@bench.test"}}
select token from public.invites where org_id = :org_a;
-- leaks when rows
