-- channel: move
-- object: public.shifts
-- says: The update policy has a check that is always true, so a row can be pushed elsewhere.
drop trigger keep_org on public.shifts;
drop policy shifts_update on public.shifts;
create policy shifts_update on public.shifts for update to authenticated
using (private.has_role(org_id, '{owner,admin}'))
with check (true);
-- exploit as amy
update public.shifts set org_id = :org_b, agent_id = :beth, during = '[2026-07-01,2026-07-02)';
-- leaks when exists (
--     select from public.shifts where org_id = :org_b and lower(during) >= '2026-07-01'
-- )
