-- channel: foreign key oracle
-- object: public.comments
-- says: The insert policy checks the author only: strangers comment, and learn which tasks exist.
drop policy add on public.comments;
create policy add on public.comments for insert to authenticated
with check (author_id = (select auth.uid()));
-- exploit as mallory
insert into public.comments (task_id, body) values ('b9000000-0000-4000-8000-0000000000ff', 'x');
insert into public.comments (task_id, body) values ('b9000000-0000-4000-8000-000000000001', 'x');
-- leaks when differs
