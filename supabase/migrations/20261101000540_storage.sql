set local lock_timeout = '4s';

-- Files -------------------------------------------------------------------------------------
-- A private bucket: an object is reached only through the policies on storage.objects.
insert into storage.buckets (id, name, public, file_size_limit)
values ('crm', 'crm', false, 52428800)
on conflict (id) do update
    set public = false, file_size_limit = excluded.file_size_limit;

-- What the storage policies look a file up by. The table is new, so nobody waits.
-- squawk-ignore require-concurrent-index-creation
create index files_path_idx on public.files (organization_id, path);

-- Where PostgREST finds its guard, on a platform that starts PostgREST for us.
do $$
begin
    execute 'alter role authenticator set pgrst.db_pre_request = ''private.pre_request''';
exception
    when insufficient_privilege then
        -- Outside Supabase only a superuser may; whoever starts PostgREST names the guard there.
        raise notice 'start PostgREST with db-pre-request = private.pre_request';
end;
$$;
notify pgrst, 'reload config';
