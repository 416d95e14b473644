-- channel: lifecycle
-- object: public.comments
-- says: Authors may change their comments for ever, also after they left.
drop policy change on public.comments;
create policy change on public.comments for update to authenticated
using (author_id = (select auth.uid()));
-- exploit as dora
update public.comments set body = 'Changed after leaving';
-- leaks when exists (select from public.comments where body = 'Changed after leaving')
