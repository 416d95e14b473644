-- channel: realtime
-- object: realtime.messages
-- says: Every signed-in user may listen on every desk channel.
drop policy desk_listen on realtime.messages;
create policy desk_listen on realtime.messages for select to authenticated
using ((select realtime.topic()) like 'desk:%' and extension = 'broadcast');
-- exploit as mallory with {"topic": "desk:{org_b}"}
select from realtime.messages where topic = 'desk:{org_b}';
-- leaks when rows
