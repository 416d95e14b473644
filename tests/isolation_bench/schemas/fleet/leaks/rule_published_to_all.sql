-- channel: blind write
-- object: public.alert_rules
-- says: A manager may insert rules without a tenant, which every tenant then sees and runs.
drop policy rules_add on public.alert_rules;
create policy rules_add on public.alert_rules for insert to authenticated
with check (
    coalesce(tenant_id, internal.tenant_id()) = (select internal.tenant_id())
    and (select internal.app_role()) = 'manager'
);
-- exploit as amy
insert into public.alert_rules (tenant_id, name, metric, below) values (null, 'Noise', 'voltage', 0);
-- leaks when exists (select from public.alert_rules where tenant_id is null and name = 'Noise')
