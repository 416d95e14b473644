-- channel: policy rewrite
-- object: public.teams
-- says: The sub-select over the helper becomes an exists with an alias.
drop policy read on public.teams;
create policy read on public.teams for select to authenticated
using (exists (select from app.workspace_ids() as w where w = teams.workspace_id));
-- request as vera
select from public.teams where workspace_id = :org_a;
-- works when rows
