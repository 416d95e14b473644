-- channel: read
-- object: public.workspace_invites
-- says: Everybody signed in may list invitations, codes included.
grant select on public.workspace_invites to authenticated;
create policy pending on public.workspace_invites for select to authenticated
using (redeemed_at is null);
-- exploit as mallory
select code from public.workspace_invites where workspace_id = :org_b;
-- leaks when rows
