-- channel: unique oracle
-- object: public.shifts
-- says: The exclusion constraint forgot the organization and the agent: a refusal shows their plan.
alter table public.shifts drop constraint shifts_overlap;
alter table public.shifts add constraint shifts_overlap exclude using gist (during with &&);
-- exploit as amy
insert into public.shifts (org_id, agent_id, during)
values (:org_a, :adam, '[2026-06-03 09:00+00,2026-06-03 10:00+00)');
insert into public.shifts (org_id, agent_id, during)
values (:org_a, :adam, '[2026-06-02 09:00+00,2026-06-02 10:00+00)');
-- leaks when differs
