-- Requests: settings and limits belong to the operator --------------------------------------
call private.lock_down('private.request_settings');
call private.lock_down('private.rate_limits');
call private.lock_down('private.api_key_secrets');
call private.lock_down('private.api_key_tokens');

-- Origins that an organization trusts -------------------------------------------------------
call private.lock_down('public.allowed_origins');
grant select, delete on table public.allowed_origins to authenticated;
grant insert (organization_id, origin) on table public.allowed_origins to authenticated;
grant select, insert, update, delete on table public.allowed_origins to service_role;

create policy select_member on public.allowed_origins
for select to authenticated
using (organization_id = any(array(select private.org_ids('organization.read'))));
comment on policy select_member on public.allowed_origins is
'Members see which origins their organization trusts.';

create policy insert_member on public.allowed_origins
for insert to authenticated
with check (organization_id = any(array(select private.org_ids('organization.security'))));
comment on policy insert_member on public.allowed_origins is
'Those who hold organization.security trust another origin.';

create policy delete_member on public.allowed_origins
for delete to authenticated
using (organization_id = any(array(select private.org_ids('organization.security'))));
comment on policy delete_member on public.allowed_origins is
'Those who hold organization.security stop trusting an origin.';

-- Storage objects ---------------------------------------------------------------------------
-- The table belongs to the platform, so its policies are replaced one by one. An object is
-- named after its row in public.files, and whoever may do something to the row may do it to the
-- object: the policies of public.files apply inside the sub-selects. A name whose first folder
-- is not exactly a tenant's id (other case, `..`, another bucket) has no row and no access.
drop policy if exists harmonia_select_member on storage.objects;
drop policy if exists harmonia_insert_member on storage.objects;
drop policy if exists harmonia_update_member on storage.objects;
drop policy if exists harmonia_delete_member on storage.objects;

create policy harmonia_select_member on storage.objects
for select to authenticated
using (
    bucket_id = 'crm'
    and (storage.foldername(name))[1] = any(
        array(
            select private.org_ids('files.read', 'files.read_team', 'files.read_own')::text
        )
    )
    and exists (
        select 1
        from public.files as f
        where
            f.organization_id = any(
                array(
                    select private.org_ids('files.read', 'files.read_team', 'files.read_own')
                )
            )
            and f.path = objects.name
    )
);
comment on policy harmonia_select_member on storage.objects is
'One opens the objects whose file one may see.';

create policy harmonia_insert_member on storage.objects
for insert to authenticated
with check (
    bucket_id = 'crm'
    and (storage.foldername(name))[1] = any(
        array(
            select private.org_ids('files.write', 'files.write_team', 'files.write_own')::text
        )
    )
    and exists (
        select 1
        from public.files as f
        where
            f.organization_id = any(
                array(
                    select private.org_ids('files.write', 'files.write_team', 'files.write_own')
                )
            )
            and f.path = objects.name
            and private.spans(
                (select private.my_span('files.write')), f.organization_id, f.team_id, f.owner_id
            )
    )
);
comment on policy harmonia_insert_member on storage.objects is
'One uploads the object of a file that one may change, described in files first.';

create policy harmonia_update_member on storage.objects
for update to authenticated
using (
    bucket_id = 'crm'
    and (storage.foldername(name))[1] = any(
        array(
            select private.org_ids('files.write', 'files.write_team', 'files.write_own')::text
        )
    )
    and owner_id = (select auth.uid())::text
    -- A legal hold keeps what is stored, too: replacing is deleting.
    and (storage.foldername(name))[1] <> all(array(select private.held_org_ids()::text))
    and exists (
        select 1
        from public.files as f
        where
            f.organization_id = any(
                array(
                    select private.org_ids('files.write', 'files.write_team', 'files.write_own')
                )
            )
            and f.path = objects.name
            and private.spans(
                (select private.my_span('files.write')), f.organization_id, f.team_id, f.owner_id
            )
    )
)
with check (
    bucket_id = 'crm'
    and (storage.foldername(name))[1] = any(
        array(
            select private.org_ids('files.write', 'files.write_team', 'files.write_own')::text
        )
    )
    and owner_id = (select auth.uid())::text
    and exists (
        select 1
        from public.files as f
        where
            f.organization_id = any(
                array(
                    select private.org_ids('files.write', 'files.write_team', 'files.write_own')
                )
            )
            and f.path = objects.name
            and private.spans(
                (select private.my_span('files.write')), f.organization_id, f.team_id, f.owner_id
            )
    )
);
comment on policy harmonia_update_member on storage.objects is
'One replaces the objects one has uploaded, while one may change their file.';

create policy harmonia_delete_member on storage.objects
for delete to authenticated
using (
    bucket_id = 'crm'
    and (storage.foldername(name))[1] = any(
        array(
            select private.org_ids('files.delete', 'files.delete_team', 'files.delete_own')::text
        )
    )
    -- A legal hold keeps what is stored, too.
    and (storage.foldername(name))[1] <> all(array(select private.held_org_ids()::text))
    and exists (
        select 1
        from public.files as f
        where
            f.organization_id = any(
                array(
                    select
                        private.org_ids('files.delete', 'files.delete_team', 'files.delete_own')
                )
            )
            and f.path = objects.name
            and private.spans(
                (select private.my_span('files.delete')), f.organization_id, f.team_id, f.owner_id
            )
    )
);
comment on policy harmonia_delete_member on storage.objects is
'One deletes the objects of the files one may delete.';

-- Realtime: private Broadcast topics --------------------------------------------------------
-- Topics are `organization:<id>` and `organization:<id>:<name>`. Tables are not published:
-- DELETE events would ignore row level security and carry the key to every subscriber.
drop policy if exists harmonia_select_member on realtime.messages;
drop policy if exists harmonia_insert_member on realtime.messages;

create policy harmonia_select_member on realtime.messages
for select to authenticated
using (
    extension in ('broadcast', 'presence')
    and (select realtime.topic() ~ '^organization:[0-9a-f-]{36}(:[a-z_]{1,40})?$')
    and (select pg_catalog.split_part(realtime.topic(), ':', 2)) = any(
        array(select private.org_ids('organization.read')::text)
    )
);
comment on policy harmonia_select_member on realtime.messages is
'Members listen to the topics of their organization.';

create policy harmonia_insert_member on realtime.messages
for insert to authenticated
with check (
    extension in ('broadcast', 'presence')
    and (select realtime.topic() ~ '^organization:[0-9a-f-]{36}(:[a-z_]{1,40})?$')
    and (select pg_catalog.split_part(realtime.topic(), ':', 2)) = any(
        array(select private.org_ids('organization.read')::text)
    )
);
comment on policy harmonia_insert_member on realtime.messages is
'Members send to the topics of their organization.';
