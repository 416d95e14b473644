-- channel: write
-- object: public.tags
-- says: The read policy only shows tags in use, so a new tag cannot be returned to its maker.
drop policy tags_owner on public.tags;
create policy tags_select on public.tags for select to authenticated
using (
    user_id = (select auth.uid())
    and exists (select from public.entry_tags as et where et.tag_id = tags.id)
);
create policy tags_insert on public.tags for insert to authenticated
with check (user_id = (select auth.uid()));
create policy tags_update on public.tags for update to authenticated
using (user_id = (select auth.uid()));
create policy tags_delete on public.tags for delete to authenticated
using (user_id = (select auth.uid()));
-- request as alice
insert into public.tags (name) values ('snow') returning id;
-- works when rows
