-- channel: forged audit
-- object: public.events
-- says: Members write events themselves, in the name of whomever they like.
grant insert on public.events to authenticated;
create policy add on public.events for insert to authenticated
with check (workspace_id in (select app.workspace_ids()));
-- exploit as vera
insert into public.events (workspace_id, who, what) values (:org_a, :alice, 'forged by vera');
-- leaks when exists (select from public.events where what = 'forged by vera' and who = :alice)
