-- channel: move
-- object: public.tags
-- says: A tag can be handed to somebody else, who never asked for it.
grant update on public.tags to authenticated;
drop policy tags_owner on public.tags;
create policy tags_owner on public.tags for all to authenticated
using (user_id = (select auth.uid()))
with check (true);
-- exploit as mallory
insert into public.tags (user_id, name) values (:bob, 'planted');
insert into public.tags (name) values ('to give away');
update public.tags set user_id = :bob;
-- leaks when exists (select from public.tags where user_id = :bob and name = 'to give away')
