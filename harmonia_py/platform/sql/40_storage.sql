-- Storage: buckets, objects and the functions its server keeps.
set local role supabase_storage_admin;

do $$
begin
    if pg_catalog.to_regtype('storage.buckettype') is null then
        create type storage.buckettype as enum ('STANDARD', 'ANALYTICS', 'VECTOR');
    end if;
end;
$$;

create table if not exists storage.migrations (
    id integer not null primary key,
    name varchar(100) not null unique,
    hash varchar(40) not null,
    executed_at timestamp default current_timestamp
);

create table if not exists storage.buckets (
    id text not null primary key,
    name text not null,
    owner uuid,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    public boolean default false,
    avif_autodetection boolean default false,
    file_size_limit bigint,
    allowed_mime_types text[],
    owner_id text,
    type storage.buckettype not null default 'STANDARD'
);
comment on column storage.buckets.owner is 'Field is deprecated, use owner_id instead';
create unique index if not exists bname on storage.buckets (name);

create table if not exists storage.objects (
    id uuid not null default gen_random_uuid() primary key,
    bucket_id text,
    name text,
    owner uuid,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    last_accessed_at timestamptz default now(),
    metadata jsonb,
    path_tokens text[] generated always as (string_to_array(name, '/')) stored,
    version text,
    owner_id text,
    user_metadata jsonb,
    constraint "objects_bucketId_fkey" foreign key (bucket_id) references storage.buckets (id)
);
comment on column storage.objects.owner is 'Field is deprecated, use owner_id instead';
create unique index if not exists bucketid_objname on storage.objects (bucket_id, name);
create index if not exists name_prefix_search on storage.objects (name text_pattern_ops);
create index if not exists idx_objects_bucket_id_name
on storage.objects (bucket_id, name collate "C");

create table if not exists storage.s3_multipart_uploads (
    id text not null primary key,
    in_progress_size bigint not null default 0,
    upload_signature text not null,
    bucket_id text not null references storage.buckets (id),
    key text collate "C" not null,
    version text not null,
    owner_id text,
    created_at timestamptz not null default now(),
    user_metadata jsonb,
    metadata jsonb
);

create table if not exists storage.s3_multipart_uploads_parts (
    id uuid not null default gen_random_uuid() primary key,
    upload_id text not null references storage.s3_multipart_uploads (id) on delete cascade,
    size bigint not null default 0,
    part_number integer not null,
    bucket_id text not null references storage.buckets (id),
    key text collate "C" not null,
    etag text not null,
    owner_id text,
    version text not null,
    created_at timestamptz not null default now()
);

create table if not exists storage.buckets_analytics (
    name text not null,
    type storage.buckettype not null default 'ANALYTICS',
    format text not null default 'ICEBERG',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    id uuid not null default gen_random_uuid() primary key,
    deleted_at timestamptz
);

create table if not exists storage.buckets_vectors (
    id text not null primary key,
    type storage.buckettype not null default 'VECTOR',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table if not exists storage.vector_indexes (
    id text not null default gen_random_uuid() primary key,
    name text collate "C" not null,
    bucket_id text not null references storage.buckets_vectors (id),
    data_type text not null,
    dimension integer not null,
    distance_metric text not null,
    metadata_configuration jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

do $$
declare
    v_table text;
begin
    foreach v_table in array array[
        'migrations', 'buckets', 'objects', 's3_multipart_uploads', 's3_multipart_uploads_parts',
        'buckets_analytics', 'buckets_vectors', 'vector_indexes'
    ] loop
        execute pg_catalog.format('alter table storage.%I enable row level security', v_table);
    end loop;
end;
$$;

create or replace function storage.foldername(name text)
returns text[]
language plpgsql
immutable
as $$
declare
    v_parts text[] := pg_catalog.string_to_array(name, '/');
begin
    return v_parts[1:pg_catalog.array_length(v_parts, 1) - 1];
end;
$$;

create or replace function storage.filename(name text)
returns text
language plpgsql
immutable
as $$
declare
    v_parts text[] := pg_catalog.string_to_array(name, '/');
begin
    return v_parts[pg_catalog.array_length(v_parts, 1)];
end;
$$;

create or replace function storage.extension(name text)
returns text
language plpgsql
immutable
as $$
declare
    v_parts text[] := pg_catalog.string_to_array(storage.filename(name), '.');
begin
    -- The last part, and the whole name where there is no dot.
    return pg_catalog.reverse(pg_catalog.split_part(
        pg_catalog.reverse(v_parts[pg_catalog.array_length(v_parts, 1)]), '.', 1
    ));
end;
$$;

create or replace function storage.operation()
returns text
language plpgsql
stable
as $$
begin
    return pg_catalog.current_setting('storage.operation', true);
end;
$$;

create or replace function storage.allow_only_operation(expected_operation text)
returns boolean
language sql
stable
as $$
    select pg_catalog.current_setting('storage.operation', true) = expected_operation
$$;

create or replace function storage.allow_any_operation(expected_operations text[])
returns boolean
language sql
stable
as $$
    select pg_catalog.current_setting('storage.operation', true) = any (expected_operations)
$$;

create or replace function storage.get_size_by_bucket()
returns table (size bigint, bucket_id text)
language plpgsql
stable
as $$
begin
    return query
        select sum((o.metadata ->> 'size')::bigint)::bigint, o.bucket_id
        from storage.objects as o
        group by o.bucket_id;
end;
$$;

create or replace function storage.can_insert_object(
    bucketid text, name text, owner uuid, metadata jsonb
)
returns void
language plpgsql
as $$
begin
    insert into storage.objects (bucket_id, name, owner, metadata)
    values (bucketid, name, owner, metadata);
    -- The question was only whether it would be allowed.
    raise sqlstate 'PT200' using
        message = 'ROLLBACK',
        detail = 'rollback successful insert';
end;
$$;

create or replace function storage.search(
    prefix text,
    bucketname text,
    limits integer default 100,
    levels integer default 1,
    offsets integer default 0,
    search text default '',
    sortcolumn text default 'name',
    sortorder text default 'asc'
)
returns table (
    name text,
    id uuid,
    updated_at timestamptz,
    created_at timestamptz,
    last_accessed_at timestamptz,
    metadata jsonb
)
language plpgsql
stable
as $$
declare
    v_order text := case
        when lower(sortcolumn) in ('name', 'updated_at', 'created_at', 'last_accessed_at')
            then lower(sortcolumn)
        else 'name'
    end;
    v_direction text := case when lower(sortorder) = 'desc' then 'desc' else 'asc' end;
begin
    return query execute pg_catalog.format(
        'with found as (
            select o.path_tokens[$1] as part, o.path_tokens, o.*
            from storage.objects as o
            where o.bucket_id = $2 and o.name ilike $3 || $4 || ''%%''
                and cardinality(o.path_tokens) >= $1
        ), folders as (
            select distinct f.part from found as f where cardinality(f.path_tokens) > $1
        )
        (select part, null::uuid, null::timestamptz, null::timestamptz, null::timestamptz,
            null::jsonb from folders order by part %2$s)
        union all
        (select part, id, updated_at, created_at, last_accessed_at, metadata from found
            where cardinality(path_tokens) = $1 order by %1$I %2$s)
        limit $5 offset $6',
        v_order, v_direction
    ) using levels, bucketname, prefix, search, limits, offsets;
end;
$$;

create or replace function storage.update_updated_at_column()
returns trigger
language plpgsql
as $$
begin
    new.updated_at = pg_catalog.now();
    return new;
end;
$$;

create or replace function storage.enforce_bucket_name_length()
returns trigger
language plpgsql
as $$
begin
    if pg_catalog.length(new.name) > 100 then
        raise exception 'bucket name "%" is too long (% characters). Max is 100.',
            new.name, pg_catalog.length(new.name);
    end if;
    return new;
end;
$$;

create or replace function storage.protect_delete()
returns trigger
language plpgsql
as $$
begin
    -- The file itself lives elsewhere; deleting only its row would orphan it.
    if coalesce(pg_catalog.current_setting('storage.allow_delete_query', true), 'false') != 'true'
    then
        raise exception 'Direct deletion from storage tables is not allowed. Use the Storage API instead.'
            using hint = 'This prevents accidental data loss from orphaned objects.',
                errcode = '42501';
    end if;
    return null;
end;
$$;

create or replace trigger update_objects_updated_at
before update on storage.objects
for each row execute function storage.update_updated_at_column();

create or replace trigger enforce_bucket_name_length_trigger
before insert or update of name on storage.buckets
for each row execute function storage.enforce_bucket_name_length();

create or replace trigger protect_objects_delete
before delete on storage.objects
for each statement execute function storage.protect_delete();

create or replace trigger protect_buckets_delete
before delete on storage.buckets
for each statement execute function storage.protect_delete();

grant all on table storage.buckets, storage.objects to anon, authenticated, service_role;
grant all on table storage.buckets, storage.objects to postgres with grant option;
grant all on table storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts
to service_role;
grant select on table storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts
to anon, authenticated;
grant all on table storage.buckets_analytics to anon, authenticated, service_role;
grant select on table storage.buckets_vectors, storage.vector_indexes
to anon, authenticated, service_role;
reset role;
