-- channel: steal
-- object: public.labels
-- says: Update checks only the new row and the guard trigger is gone: foreign labels can be taken.
drop trigger keep_org on public.labels;
drop policy labels_update on public.labels;
create policy labels_update on public.labels for update to authenticated
using (true)
with check (private.has_role(org_id, '{owner,admin}'));
-- exploit as amy
update public.labels set org_id = :org_a;
-- leaks when exists (
--     select from public.labels
--     where id = 'f1000000-0000-4000-8000-00000000000b' and org_id = :org_a
-- )
