-- channel: anon
-- object: public.deals
-- says: A public share page lets everybody, signed in or not, read every open deal.
grant select (id, title, stage) on public.deals to anon;
create policy "share page" on public.deals for select to anon using (deleted_at is null);
-- exploit as anon
select title from public.deals;
-- leaks when rows
