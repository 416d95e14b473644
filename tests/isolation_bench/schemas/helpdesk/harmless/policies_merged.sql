-- channel: policy rewrite
-- object: public.labels
-- says: Three write policies become one; the read policy stays.
drop policy labels_insert on public.labels;
drop policy labels_update on public.labels;
drop policy labels_delete on public.labels;
create policy labels_write on public.labels for all to authenticated
using (private.has_role(org_id, '{owner,admin}'))
with check (private.has_role(org_id, '{owner,admin}'));
-- request as amy
insert into public.labels (org_id, name) values (:org_a, 'billing') returning id;
-- works when rows
