-- channel: forged audit
-- object: public.entry_versions
-- says: The version history accepts rows from clients, under anybody's name.
grant insert on public.entry_versions to authenticated;
create policy entry_versions_insert on public.entry_versions for insert to authenticated
with check ((select auth.uid()) is not null);
-- exploit as mallory
insert into public.entry_versions (user_id, entry_id, body, changed_by)
values (:bob, 'be000000-0000-4000-8000-000000000001', 'Never said', :bob);
-- leaks when exists (select from public.entry_versions where body = 'Never said')
