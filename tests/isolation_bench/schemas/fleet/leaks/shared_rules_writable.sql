-- channel: blind write
-- object: public.alert_rules
-- says: The vendor's rules, which every tenant uses, can be changed by any manager.
drop policy rules_change on public.alert_rules;
create policy rules_change on public.alert_rules for update to authenticated
using (
    (tenant_id is null or tenant_id = (select internal.tenant_id()))
    and (select internal.app_role()) = 'manager'
);
-- exploit as amy
update public.alert_rules set above = 100000 where name = 'Overheating';
-- leaks when exists (select from public.alert_rules where tenant_id is null and above = 100000)
