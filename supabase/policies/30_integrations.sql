-- Integrations ------------------------------------------------------------------------------
call private.lock_down('public.integrations');
grant select, delete on table public.integrations to authenticated;
grant insert (organization_id, id, provider, name, audience) on table public.integrations
to authenticated;
grant update (name, audience, status) on table public.integrations to authenticated;
grant select, insert, delete on table public.integrations to service_role;
-- Not the audience: a stolen service key must not redirect an integration.
grant update (name, status) on table public.integrations to service_role;
grant select, update (status) on table public.integrations to harmonia_vault;

create policy select_member on public.integrations
for select to authenticated
using (organization_id = any(array(select private.org_ids('integrations.read'))));
comment on policy select_member on public.integrations is
'Members see which services their organization is connected to.';

create policy insert_member on public.integrations
for insert to authenticated
with check (organization_id = any(array(select private.org_ids('integrations.write'))));
comment on policy insert_member on public.integrations is
'Those who hold integrations.write connect services.';

create policy update_member on public.integrations
for update to authenticated
using (organization_id = any(array(select private.org_ids('integrations.write'))))
with check (organization_id = any(array(select private.org_ids('integrations.write'))));
comment on policy update_member on public.integrations is
'Those who hold integrations.write change them.';

create policy delete_member on public.integrations
for delete to authenticated
using (organization_id = any(array(select private.org_ids('integrations.write'))));
comment on policy delete_member on public.integrations is
'Those who hold integrations.write disconnect them.';

create policy select_vault on public.integrations
for select to harmonia_vault
using (organization_id = (select private.vault_organization()));
comment on policy select_vault on public.integrations is
'The vault sees the organization it has opened.';

create policy update_vault on public.integrations
for update to harmonia_vault
using (organization_id = (select private.vault_organization()))
with check (organization_id = (select private.vault_organization()));
comment on policy update_vault on public.integrations is
'The vault marks an integration that must be connected again.';

-- Secrets: metadata to read, nothing to write -----------------------------------------------
call private.lock_down('public.secrets');
grant select on table public.secrets to authenticated, service_role;
grant select, insert, update, delete on table public.secrets to harmonia_vault;

create policy select_member on public.secrets
for select to authenticated
using (organization_id = any(array(select private.org_ids('secrets.read_metadata'))));
comment on policy select_member on public.secrets is
'Those who hold secrets.read_metadata see which secrets there are.';

create policy select_vault on public.secrets
for select to harmonia_vault
using (organization_id = (select private.vault_organization()));
comment on policy select_vault on public.secrets is
'The vault sees the secrets of the organization it has opened.';

create policy insert_vault on public.secrets
for insert to harmonia_vault
with check (organization_id = (select private.vault_organization()));
comment on policy insert_vault on public.secrets is
'Only the vault adds secrets, to the organization it has opened.';

create policy update_vault on public.secrets
for update to harmonia_vault
using (organization_id = (select private.vault_organization()))
with check (organization_id = (select private.vault_organization()));
comment on policy update_vault on public.secrets is
'Only the vault changes secrets, of the organization it has opened.';

create policy delete_vault on public.secrets
for delete to harmonia_vault
using (organization_id = (select private.vault_organization()));
comment on policy delete_vault on public.secrets is
'Only the vault deletes secrets, of the organization it has opened.';

-- Keys and sealed values: for the vault alone -----------------------------------------------
call private.lock_down('private.master_keys');
grant select, insert, update on table private.master_keys to harmonia_vault;

-- Not a tenant table: it names master keys and holds none.
create policy select_vault on private.master_keys
for select to harmonia_vault
using (true);
comment on policy select_vault on private.master_keys is
'The vault knows which master keys are in use.';

create policy insert_vault on private.master_keys
for insert to harmonia_vault
with check (true);
comment on policy insert_vault on private.master_keys is 'The vault registers a master key.';

create policy update_vault on private.master_keys
for update to harmonia_vault
using (true)
with check (true);
comment on policy update_vault on private.master_keys is 'The vault retires a master key.';

call private.lock_down('private.organization_keys');
grant select, insert, update on table private.organization_keys to harmonia_vault;

create policy select_vault on private.organization_keys
for select to harmonia_vault
using (organization_id = (select private.vault_organization()));
comment on policy select_vault on private.organization_keys is
'The vault reads the wrapped keys of the organization it has opened.';

create policy insert_vault on private.organization_keys
for insert to harmonia_vault
with check (organization_id = (select private.vault_organization()));
comment on policy insert_vault on private.organization_keys is
'The vault adds a generation of keys to the organization it has opened.';

create policy update_vault on private.organization_keys
for update to harmonia_vault
using (organization_id = (select private.vault_organization()))
with check (organization_id = (select private.vault_organization()));
comment on policy update_vault on private.organization_keys is
'The vault rewraps and retires keys of the organization it has opened.';

call private.lock_down('private.key_seals');
grant select on table private.key_seals to harmonia_vault;

create policy select_vault on private.key_seals
for select to harmonia_vault
using (organization_id = (select private.vault_organization()));
comment on policy select_vault on private.key_seals is
'The vault reads how worn the keys of the organization it has opened are.';

call private.lock_down('private.secret_versions');
grant select, insert, update, delete on table private.secret_versions to harmonia_vault;

create policy select_vault on private.secret_versions
for select to harmonia_vault
using (organization_id = (select private.vault_organization()));
comment on policy select_vault on private.secret_versions is
'The vault reads the sealed values of the organization it has opened.';

create policy insert_vault on private.secret_versions
for insert to harmonia_vault
with check (organization_id = (select private.vault_organization()));
comment on policy insert_vault on private.secret_versions is
'The vault stores sealed values for the organization it has opened.';

create policy update_vault on private.secret_versions
for update to harmonia_vault
using (organization_id = (select private.vault_organization()))
with check (organization_id = (select private.vault_organization()));
comment on policy update_vault on private.secret_versions is
'The vault seals values anew when it rotates keys.';

create policy delete_vault on private.secret_versions
for delete to harmonia_vault
using (organization_id = (select private.vault_organization()));
comment on policy delete_vault on private.secret_versions is
'The vault drops old versions of the organization it has opened.';

call private.lock_down('private.secret_leases');
grant select, insert, update on table private.secret_leases to harmonia_vault;

create policy select_vault on private.secret_leases
for select to harmonia_vault
using (organization_id = (select private.vault_organization()));
comment on policy select_vault on private.secret_leases is
'The vault sees who refreshes a token of the organization it has opened.';

create policy insert_vault on private.secret_leases
for insert to harmonia_vault
with check (organization_id = (select private.vault_organization()));
comment on policy insert_vault on private.secret_leases is
'The vault takes a lease in the organization it has opened.';

create policy update_vault on private.secret_leases
for update to harmonia_vault
using (organization_id = (select private.vault_organization()))
with check (organization_id = (select private.vault_organization()));
comment on policy update_vault on private.secret_leases is
'The vault takes over and ends leases in the organization it has opened.';

call private.lock_down('private.secret_access');
-- No update, no delete, for nobody; and nobody chooses the time of an entry.
grant select on table private.secret_access to harmonia_vault;
grant insert (
    organization_id, secret_id, name, version, action, actor, user_id, purpose, outcome, request_id
) on table private.secret_access to harmonia_vault;

create policy select_vault on private.secret_access
for select to harmonia_vault
using (organization_id = (select private.vault_organization()));
comment on policy select_vault on private.secret_access is
'The vault reads the record of the organization it has opened.';

create policy insert_vault on private.secret_access
for insert to harmonia_vault
with check (organization_id = (select private.vault_organization()));
comment on policy insert_vault on private.secret_access is
'The vault records what it does in the organization it has opened.';

-- Webhook endpoints -------------------------------------------------------------------------
call private.lock_down('public.webhook_endpoints');
grant select, delete on table public.webhook_endpoints to authenticated;
grant insert (
    organization_id, id, integration_id, secret_id, name, scheme, options, tolerance_seconds, status
) on table public.webhook_endpoints to authenticated;
grant update (
    integration_id, secret_id, name, scheme, options, tolerance_seconds, status
) on table public.webhook_endpoints to authenticated;
grant select, delete on table public.webhook_endpoints to service_role;
-- Not which former secret still counts: a stolen service key must not bring one back.
grant insert (
    organization_id, id, integration_id, secret_id, name, scheme, options, tolerance_seconds, status
) on table public.webhook_endpoints to service_role;
grant update (
    integration_id, secret_id, name, scheme, options, tolerance_seconds, status
) on table public.webhook_endpoints to service_role;
grant select, insert, update (secret_id, previous_version, previous_until)
on table public.webhook_endpoints to harmonia_vault;

create policy select_member on public.webhook_endpoints
for select to authenticated
using (organization_id = any(array(select private.org_ids('webhooks.read'))));
comment on policy select_member on public.webhook_endpoints is
'Those who hold webhooks.read see the endpoints of their organization.';

create policy insert_member on public.webhook_endpoints
for insert to authenticated
with check (organization_id = any(array(select private.org_ids('webhooks.write'))));
comment on policy insert_member on public.webhook_endpoints is
'Those who hold webhooks.write add endpoints.';

create policy update_member on public.webhook_endpoints
for update to authenticated
using (organization_id = any(array(select private.org_ids('webhooks.write'))))
with check (organization_id = any(array(select private.org_ids('webhooks.write'))));
comment on policy update_member on public.webhook_endpoints is
'Those who hold webhooks.write change endpoints.';

create policy delete_member on public.webhook_endpoints
for delete to authenticated
using (organization_id = any(array(select private.org_ids('webhooks.write'))));
comment on policy delete_member on public.webhook_endpoints is
'Those who hold webhooks.write delete endpoints.';

create policy select_vault on public.webhook_endpoints
for select to harmonia_vault
using (organization_id = (select private.vault_organization()));
comment on policy select_vault on public.webhook_endpoints is
'The receiver sees the endpoints of the organization it has opened.';

create policy insert_vault on public.webhook_endpoints
for insert to harmonia_vault
with check (organization_id = (select private.vault_organization()));
comment on policy insert_vault on public.webhook_endpoints is
'An operator adds endpoints to the organization that is open.';

create policy update_vault on public.webhook_endpoints
for update to harmonia_vault
using (organization_id = (select private.vault_organization()))
with check (organization_id = (select private.vault_organization()));
comment on policy update_vault on public.webhook_endpoints is
'An operator changes the signing secret of an endpoint.';

-- Webhook receipts --------------------------------------------------------------------------
call private.lock_down('private.webhook_receipts');
grant select, insert on table private.webhook_receipts to harmonia_vault;

create policy select_vault on private.webhook_receipts
for select to harmonia_vault
using (organization_id = (select private.vault_organization()));
comment on policy select_vault on private.webhook_receipts is
'The receiver sees what the organization it has opened already received.';

create policy insert_vault on private.webhook_receipts
for insert to harmonia_vault
with check (organization_id = (select private.vault_organization()));
comment on policy insert_vault on private.webhook_receipts is
'The receiver records what arrived.';

-- Webhook events ----------------------------------------------------------------------------
call private.lock_down('public.webhook_events');
grant select on table public.webhook_events to authenticated;
grant select, delete on table public.webhook_events to service_role;
grant update (status, processed_at, error_code) on table public.webhook_events to service_role;
grant select, insert on table public.webhook_events to harmonia_vault;

create policy select_member on public.webhook_events
for select to authenticated
using (organization_id = any(array(select private.org_ids('webhooks.read'))));
comment on policy select_member on public.webhook_events is
'Those who hold webhooks.read see the events their organization received.';

create policy select_vault on public.webhook_events
for select to harmonia_vault
using (organization_id = (select private.vault_organization()));
comment on policy select_vault on public.webhook_events is
'The receiver sees the events of the organization it has opened.';

create policy insert_vault on public.webhook_events
for insert to harmonia_vault
with check (organization_id = (select private.vault_organization()));
comment on policy insert_vault on public.webhook_events is
'The receiver stores verified events.';
