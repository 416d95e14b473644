-- Organizations -----------------------------------------------------------------------------
call private.lock_down('public.organizations');
grant select on table public.organizations to authenticated;
-- Status, slug and the MFA rule change only through functions.
grant update (name, currency, time_zone) on table public.organizations to authenticated;
-- Neither its status nor its end: closing, reopening and purging are functions, which announce,
-- record and certify what they do.
grant select, insert on table public.organizations to service_role;
grant update (name, slug, require_mfa, currency, time_zone)
on table public.organizations to service_role;

create policy select_member on public.organizations
for select to authenticated
using (id = any(array(select private.org_ids('organization.read'))));
comment on policy select_member on public.organizations is
'Members see the organizations they belong to.';

create policy update_member on public.organizations
for update to authenticated
using (id = any(array(select private.org_ids('organization.update'))))
with check (id = any(array(select private.org_ids('organization.update'))));
comment on policy update_member on public.organizations is
'Those who hold organization.update change its name and defaults.';

-- Permissions: the same reference list for everybody who is signed in -----------------------
call private.lock_down('public.permissions');
grant select on table public.permissions to authenticated, service_role;

create policy select_signed_in on public.permissions
for select to authenticated
using ((select auth.uid()) is not null);
comment on policy select_signed_in on public.permissions is
'Everybody who is signed in may read what permissions exist.';

call private.lock_down('public.builtin_role_permissions');
grant select on table public.builtin_role_permissions to authenticated, service_role;

create policy select_signed_in on public.builtin_role_permissions
for select to authenticated
using ((select auth.uid()) is not null);
comment on policy select_signed_in on public.builtin_role_permissions is
'Everybody who is signed in may read what the built-in roles are.';

-- Roles -------------------------------------------------------------------------------------
call private.lock_down('public.roles');
grant select on table public.roles to authenticated;
grant select, insert, update, delete on table public.roles to service_role;

create policy select_member on public.roles
for select to authenticated
using (organization_id = any(array(select private.org_ids('roles.read'))));
comment on policy select_member on public.roles is
'Members see the roles of their organization.';

call private.lock_down('public.role_permissions');
grant select on table public.role_permissions to authenticated;
grant select, insert, update, delete on table public.role_permissions to service_role;

create policy select_member on public.role_permissions
for select to authenticated
using (organization_id = any(array(select private.org_ids('roles.read'))));
comment on policy select_member on public.role_permissions is
'Members see what the roles of their organization may do.';

-- Memberships -------------------------------------------------------------------------------
call private.lock_down('public.memberships');
grant select on table public.memberships to authenticated;
grant select, insert, update, delete on table public.memberships to service_role;

create policy select_member on public.memberships
for select to authenticated
using (organization_id = any(array(select private.org_ids('members.read'))));
comment on policy select_member on public.memberships is
'Members see who else belongs to their organization.';

-- Profiles ----------------------------------------------------------------------------------
call private.lock_down('public.profiles');
grant select on table public.profiles to authenticated;
grant insert (user_id, display_name, avatar_url) on table public.profiles to authenticated;
grant update (display_name, avatar_url) on table public.profiles to authenticated;
grant select, insert, update, delete on table public.profiles to service_role;

create policy select_colleague on public.profiles
for select to authenticated
using (
    user_id = (select auth.uid())
    or user_id = any(array(select private.colleague_ids()))
);
comment on policy select_colleague on public.profiles is
'One sees oneself and the people one shares an organization with.';

create policy insert_self on public.profiles
for insert to authenticated
with check (
    user_id = (select auth.uid())
    and coalesce((select auth.jwt()) ->> 'is_anonymous', 'false') = 'false'
);
comment on policy insert_self on public.profiles is 'One creates only one''s own profile.';

create policy update_self on public.profiles
for update to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));
comment on policy update_self on public.profiles is 'One changes only one''s own profile.';

-- User settings -----------------------------------------------------------------------------
call private.lock_down('public.user_settings');
grant select on table public.user_settings to authenticated;
-- The active organization changes only through set_active_organization().
grant insert (user_id, locale, time_zone) on table public.user_settings to authenticated;
grant update (locale, time_zone) on table public.user_settings to authenticated;
grant select, insert, update, delete on table public.user_settings to service_role;

create policy select_self on public.user_settings
for select to authenticated
using (user_id = (select auth.uid()));
comment on policy select_self on public.user_settings is 'One reads only one''s own settings.';

create policy insert_self on public.user_settings
for insert to authenticated
with check (
    user_id = (select auth.uid())
    and coalesce((select auth.jwt()) ->> 'is_anonymous', 'false') = 'false'
);
comment on policy insert_self on public.user_settings is 'One creates only one''s own settings.';

create policy update_self on public.user_settings
for update to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));
comment on policy update_self on public.user_settings is 'One changes only one''s own settings.';

-- Teams -------------------------------------------------------------------------------------
call private.lock_down('public.teams');
grant select on table public.teams to authenticated;
grant select, insert, update, delete on table public.teams to service_role;

create policy select_member on public.teams
for select to authenticated
using (organization_id = any(array(select private.org_ids('teams.read'))));
comment on policy select_member on public.teams is
'Members see the teams of their organization.';

call private.lock_down('public.team_members');
grant select on table public.team_members to authenticated;
grant select, insert, update, delete on table public.team_members to service_role;

create policy select_member on public.team_members
for select to authenticated
using (organization_id = any(array(select private.org_ids('teams.read'))));
comment on policy select_member on public.team_members is
'Members see who is in the teams of their organization.';

-- Invitations -------------------------------------------------------------------------------
call private.lock_down('public.invitations');
grant select on table public.invitations to authenticated;
grant select, delete on table public.invitations to service_role;

create policy select_member on public.invitations
for select to authenticated
using (organization_id = any(array(select private.org_ids('members.invite'))));
comment on policy select_member on public.invitations is
'Those who may invite see the invitations of their organization.';

call private.lock_down('private.invitation_tokens');

-- API keys ----------------------------------------------------------------------------------
call private.lock_down('public.api_keys');
grant select on table public.api_keys to authenticated, service_role;

create policy select_member on public.api_keys
for select to authenticated
using (organization_id = any(array(select private.org_ids('api_keys.read'))));
comment on policy select_member on public.api_keys is
'Those who hold api_keys.read see which keys exist.';

call private.lock_down('public.api_key_permissions');
grant select on table public.api_key_permissions to authenticated, service_role;

create policy select_member on public.api_key_permissions
for select to authenticated
using (organization_id = any(array(select private.org_ids('api_keys.read'))));
comment on policy select_member on public.api_key_permissions is
'Those who hold api_keys.read see what each key may do.';

-- Support grants: read and written only by functions ----------------------------------------
call private.lock_down('private.support_grants');
