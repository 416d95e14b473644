-- channel: read
-- object: public.labels
-- says: A leftover debugging policy lets every signed-in user read all labels.
create policy labels_debug on public.labels for select to authenticated using (true);
-- exploit as mallory
select from public.labels where org_id = :org_b;
-- leaks when rows
