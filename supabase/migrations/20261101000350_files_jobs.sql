set local lock_timeout = '4s';

-- Files -------------------------------------------------------------------------------------
create table public.files (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    bucket text not null default 'crm',
    path text not null,
    name text not null,
    content_type text not null default 'application/octet-stream',
    size_bytes bigint not null default 0,
    sha256 text,
    company_id uuid,
    contact_id uuid,
    deal_id uuid,
    activity_id uuid,
    owner_id uuid default auth.uid(),
    team_id uuid,
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    constraint files_pkey primary key (organization_id, id),
    constraint files_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint files_company_fkey
    foreign key (organization_id, company_id)
    references public.companies (organization_id, id) on delete set null (company_id),
    constraint files_contact_fkey
    foreign key (organization_id, contact_id)
    references public.contacts (organization_id, id) on delete set null (contact_id),
    constraint files_deal_fkey
    foreign key (organization_id, deal_id)
    references public.deals (organization_id, id) on delete set null (deal_id),
    constraint files_activity_fkey
    foreign key (organization_id, activity_id)
    references public.activities (organization_id, id) on delete set null (activity_id),
    constraint files_owner_fkey
    foreign key (organization_id, owner_id)
    references public.memberships (organization_id, user_id) on delete set null (owner_id),
    constraint files_team_fkey
    foreign key (organization_id, team_id)
    references public.teams (organization_id, id) on delete set null (team_id),
    constraint files_bucket_check check (bucket = 'crm'),
    -- The first folder is the tenant and the second the record, so a row can never describe an
    -- object of another tenant, nor take the name of a colleague's file.
    constraint files_path_check check (
        starts_with(path, organization_id::text || '/' || id::text || '/')
        and path !~ '(^|/)\.{1,2}(/|$)'
        and path !~ '[[:cntrl:]\\]'
        and char_length(path) between 76 and 1000
    ),
    constraint files_name_check check (
        char_length(name) between 1 and 255 and name !~ '[[:cntrl:]/\\]'
    ),
    constraint files_content_type_check check (
        content_type ~ '^[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*$'
        and char_length(content_type) <= 127
    ),
    constraint files_size_bytes_check check (size_bytes between 0 and 53687091200),
    constraint files_sha256_check check (sha256 ~ '^[0-9a-f]{64}$')
);
comment on table public.files is
'Describes an object in storage, under <organization_id>/<id>/ in the bucket crm.';
comment on column public.files.path is 'The object''s name: <organization_id>/<id>/<file name>.';
comment on column public.files.name is 'What people call the file.';
comment on column public.files.owner_id is 'The member responsible; the `_own` permissions.';
comment on column public.files.team_id is 'The team responsible; the `_team` permissions.';
comment on column public.files.deleted_at is
'In the bin since then. Set and cleared only by soft_delete() and restore().';
create index files_owner_idx
on public.files (organization_id, owner_id, created_at desc, id)
where owner_id is not null;
create index files_team_idx
on public.files (organization_id, team_id, created_at desc, id)
where team_id is not null;
create index files_company_idx
on public.files (organization_id, company_id, created_at desc, id)
where company_id is not null;
create index files_contact_idx
on public.files (organization_id, contact_id, created_at desc, id)
where contact_id is not null;
create index files_deal_idx
on public.files (organization_id, deal_id, created_at desc, id)
where deal_id is not null;
create index files_activity_idx
on public.files (organization_id, activity_id, created_at desc, id)
where activity_id is not null;
create index files_timeline_idx
on public.files (organization_id, created_at desc, id) include (owner_id, team_id)
where deleted_at is null;
call private.lock_down('public.files');

create trigger tg_files__immutable_keys
before update on public.files
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
    or old.bucket is distinct from new.bucket
    or old.path is distinct from new.path
)
execute function private.tg_immutable_keys();

create trigger tg_files__touch_updated_at
before update on public.files
for each row
execute function private.tg_touch_updated_at();

-- Imports -----------------------------------------------------------------------------------
create table public.import_jobs (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    object text not null,
    status text not null default 'draft',
    file_id uuid,
    mapping jsonb not null default '{}',
    total_rows bigint not null default 0,
    imported_rows bigint not null default 0,
    failed_rows bigint not null default 0,
    error text,
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    constraint import_jobs_pkey primary key (organization_id, id),
    constraint import_jobs_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint import_jobs_file_fkey
    foreign key (organization_id, file_id)
    references public.files (organization_id, id) on delete set null (file_id),
    constraint import_jobs_object_check check (
        object in ('company', 'contact', 'deal', 'activity')
    ),
    constraint import_jobs_status_check check (
        status in ('draft', 'queued', 'running', 'done', 'failed', 'cancelled')
    ),
    constraint import_jobs_mapping_check check (
        jsonb_typeof(mapping) = 'object' and octet_length(mapping::text) <= 65536
    ),
    constraint import_jobs_total_rows_check check (total_rows >= 0),
    constraint import_jobs_imported_rows_check check (imported_rows >= 0),
    constraint import_jobs_failed_rows_check check (failed_rows >= 0),
    constraint import_jobs_error_check check (char_length(error) <= 2000)
);
comment on table public.import_jobs is 'A file of records to be taken in.';
comment on column public.import_jobs.mapping is 'Which column of the file goes into which field.';
create index import_jobs_file_idx on public.import_jobs (organization_id, file_id)
where file_id is not null;
create index import_jobs_timeline_idx
on public.import_jobs (organization_id, created_at desc, id);
call private.lock_down('public.import_jobs');

create trigger tg_import_jobs__immutable_keys
before update on public.import_jobs
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
)
execute function private.tg_immutable_keys();

create trigger tg_import_jobs__touch_updated_at
before update on public.import_jobs
for each row
execute function private.tg_touch_updated_at();

create table public.import_rows (
    organization_id uuid not null,
    import_job_id uuid not null,
    row_number bigint not null,
    status text not null default 'pending',
    data jsonb not null,
    record_id uuid,
    error_code text,
    error_message text,
    constraint import_rows_pkey primary key (organization_id, import_job_id, row_number),
    constraint import_rows_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint import_rows_import_job_fkey
    foreign key (organization_id, import_job_id)
    references public.import_jobs (organization_id, id) on delete cascade,
    constraint import_rows_row_number_check check (row_number between 1 and 10000000),
    constraint import_rows_status_check check (
        status in ('pending', 'imported', 'skipped', 'failed')
    ),
    constraint import_rows_data_check check (
        jsonb_typeof(data) = 'object' and octet_length(data::text) <= 65536
    ),
    constraint import_rows_error_code_check check (char_length(error_code) <= 120),
    constraint import_rows_error_message_check check (char_length(error_message) <= 2000)
);
comment on table public.import_rows is 'One row of an import, and what became of it.';
comment on column public.import_rows.record_id is
'The record it became; of the kind that import_jobs.object names.';
create index import_rows_status_idx
on public.import_rows (organization_id, import_job_id, status, row_number);
call private.lock_down('public.import_rows');

create trigger tg_import_rows__immutable_keys
before update on public.import_rows
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.import_job_id is distinct from new.import_job_id
    or old.row_number is distinct from new.row_number
)
execute function private.tg_immutable_keys();

-- Exports -----------------------------------------------------------------------------------
create table public.export_jobs (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    object text not null,
    format text not null default 'csv',
    filter jsonb not null default '{}',
    status text not null default 'queued',
    file_id uuid,
    row_count bigint,
    error text,
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    finished_at timestamptz,
    expires_at timestamptz not null default now() + interval '7 days',
    constraint export_jobs_pkey primary key (organization_id, id),
    constraint export_jobs_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint export_jobs_file_fkey
    foreign key (organization_id, file_id)
    references public.files (organization_id, id) on delete set null (file_id),
    constraint export_jobs_object_check check (
        object in ('company', 'contact', 'deal', 'activity', 'conversation', 'everything')
    ),
    constraint export_jobs_format_check check (format in ('csv', 'json')),
    constraint export_jobs_filter_check check (
        jsonb_typeof(filter) = 'object' and octet_length(filter::text) <= 16384
    ),
    constraint export_jobs_status_check check (
        status in ('queued', 'running', 'done', 'failed', 'cancelled', 'expired')
    ),
    constraint export_jobs_row_count_check check (row_count >= 0),
    constraint export_jobs_error_check check (char_length(error) <= 2000),
    constraint export_jobs_expires_at_check check (expires_at > created_at)
);
comment on table public.export_jobs is 'Data taken out in bulk: what, by whom, until when.';
create index export_jobs_file_idx on public.export_jobs (organization_id, file_id)
where file_id is not null;
create index export_jobs_timeline_idx
on public.export_jobs (organization_id, created_at desc, id);
call private.lock_down('public.export_jobs');

create trigger tg_export_jobs__immutable_keys
before update on public.export_jobs
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
)
execute function private.tg_immutable_keys();

create trigger tg_export_jobs__touch_updated_at
before update on public.export_jobs
for each row
execute function private.tg_touch_updated_at();
