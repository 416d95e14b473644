-- Audit -------------------------------------------------------------------------------------
call private.lock_down('audit.events');
-- Not the digest and the salt: what a reader could use to guess an erased payload.
grant select (
    organization_id, at, statement, position, total, actor_id, actor_kind, session_id, aal,
    support_grant_id, api_key_id, request_id, action, table_name, record_key, payload
) on table audit.events to authenticated;

create policy select_administrator on audit.events
for select to authenticated
using (organization_id = any(array(select private.org_ids('audit.read'))));
comment on policy select_administrator on audit.events is
'Those who hold audit.read see what was done in their organization.';

call private.lock_down('audit.links');
call private.lock_down('audit.seals');
call private.lock_down('audit.sealed_heads');
