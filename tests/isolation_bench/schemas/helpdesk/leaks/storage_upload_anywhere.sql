-- channel: storage
-- object: storage.objects
-- says: Uploads check the bucket and forget the folder.
create policy attachments_upload on storage.objects for insert to authenticated
with check (bucket_id = 'attachments');
-- exploit as mallory
insert into storage.objects (bucket_id, name) values ('attachments', '{org_b}/t/planted.pdf');
-- leaks when exists (select from storage.objects where name = '{org_b}/t/planted.pdf')
