-- channel: storage
-- object: storage.objects
-- says: Renaming a file checks where it was, not where it goes.
drop policy firmware_replace on storage.objects;
create policy firmware_replace on storage.objects for update to authenticated
using (
    bucket_id = 'firmware'
    and (storage.foldername(name))[1] = (select internal.tenant_id())::text
    and (select internal.app_role()) = 'manager'
)
with check (bucket_id = 'firmware');
-- exploit as amy
update storage.objects set name = '{org_b}/evil.bin';
-- leaks when exists (select from storage.objects where name = '{org_b}/evil.bin')
