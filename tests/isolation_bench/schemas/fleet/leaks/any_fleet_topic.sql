-- channel: realtime
-- object: realtime.messages
-- says: Whoever has some tenant may listen to the channel of any.
drop policy fleet_listen on realtime.messages;
create policy fleet_listen on realtime.messages for select to authenticated
using (
    (select realtime.topic()) like 'fleet:%'
    and (select internal.tenant_id()) is not null
);
-- exploit as adam with {"topic": "fleet:{org_b}"}
select from realtime.messages where topic = 'fleet:{org_b}';
-- leaks when rows
