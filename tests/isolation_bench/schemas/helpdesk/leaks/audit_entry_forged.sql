-- channel: forged audit
-- object: public.audit_log
-- says: Members may insert audit rows, with any actor and any text.
grant insert on public.audit_log to authenticated;
create policy audit_log_insert on public.audit_log for insert to authenticated
with check (private.is_member(org_id));
-- exploit as adam
insert into public.audit_log (org_id, actor_id, action, entity)
values (:org_a, :alice, 'delete', 'forged');
-- leaks when exists (select from public.audit_log where entity = 'forged' and actor_id = :alice)
