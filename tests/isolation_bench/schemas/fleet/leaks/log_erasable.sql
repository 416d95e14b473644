-- channel: forged audit
-- object: public.activity_log
-- says: Managers may delete log entries, so nobody can rely on them.
grant delete on public.activity_log to authenticated;
create policy log_prune on public.activity_log for delete to authenticated
using ((select internal.app_role()) = 'manager');
-- exploit as amy
delete from public.activity_log;
-- leaks when not exists (select from public.activity_log where tenant_id = :org_b)
