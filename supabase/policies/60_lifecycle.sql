-- Support access ----------------------------------------------------------------------------
call private.lock_down('private.platform_admins');

call private.lock_down('public.support_requests');
grant select on table public.support_requests to authenticated;

create policy select_member on public.support_requests
for select to authenticated
using (organization_id = any(array(select private.org_ids('audit.read'))));
comment on policy select_member on public.support_requests is
'Administrators see who of the platform''s staff asked for access and what became of it.';

-- Exports and closure -----------------------------------------------------------------------
call private.lock_down('public.organization_exports');
grant select on table public.organization_exports to authenticated;

create policy select_member on public.organization_exports
for select to authenticated
using (organization_id = any(array(select private.org_ids('audit.read'))));
comment on policy select_member on public.organization_exports is
'Administrators see which full exports of their organization were made.';

call private.lock_down('private.legal_holds');
call private.lock_down('private.closures');
call private.lock_down('private.purge_progress');
call private.lock_down('private.deletion_certificates');

-- Incidents ---------------------------------------------------------------------------------
call private.lock_down('private.notifications');
call private.lock_down('private.incidents');
call private.lock_down('private.incident_events');
call private.lock_down('private.incident_organizations');

-- Sub-processors: the one table that everybody may read --------------------------------------
call private.lock_down('public.subprocessors');
grant select on table public.subprocessors to anon, authenticated, service_role;

create policy select_everybody on public.subprocessors
for select to anon, authenticated
using ((select current_user in ('anon', 'authenticated')));
comment on policy select_everybody on public.subprocessors is
'The list of sub-processors is public by promise; it belongs to no organization.';

call private.lock_down('public.subprocessor_subscriptions');
grant select, insert, delete on table public.subprocessor_subscriptions to authenticated;
grant select, insert, delete on table public.subprocessor_subscriptions to service_role;

create policy select_member on public.subprocessor_subscriptions
for select to authenticated
using (organization_id = any(array(select private.org_ids('subprocessors.subscribe'))));
comment on policy select_member on public.subprocessor_subscriptions is
'Administrators see who is told about sub-processors.';

create policy insert_member on public.subprocessor_subscriptions
for insert to authenticated
with check (organization_id = any(array(select private.org_ids('subprocessors.subscribe'))));
comment on policy insert_member on public.subprocessor_subscriptions is
'Administrators choose who is told about sub-processors.';

create policy delete_member on public.subprocessor_subscriptions
for delete to authenticated
using (organization_id = any(array(select private.org_ids('subprocessors.subscribe'))));
comment on policy delete_member on public.subprocessor_subscriptions is
'Administrators choose who is no longer told about sub-processors.';
