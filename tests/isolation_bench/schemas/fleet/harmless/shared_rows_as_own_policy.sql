-- channel: policy rewrite
-- object: public.alert_rules
-- says: The vendor's rules get a policy of their own.
drop policy rules_read on public.alert_rules;
create policy rules_own on public.alert_rules for select to authenticated
using (tenant_id = (select internal.tenant_id()));
create policy rules_shared on public.alert_rules for select to authenticated
using (tenant_id is null);
-- request as vera
select from public.alert_rules where tenant_id is null;
-- works when rows
