-- channel: storage
-- object: storage.objects
-- says: The photo policy's check compares the last folder, its filter the first.
drop policy photos_owner on storage.objects;
create policy photos_owner on storage.objects for all to authenticated
using (bucket_id = 'photos' and (storage.foldername(name))[1] = (select auth.uid()::text))
with check (
    bucket_id = 'photos'
    and (storage.foldername(name))[array_upper(storage.foldername(name), 1)]
    = (select auth.uid()::text)
);
-- exploit as mallory
insert into storage.objects (bucket_id, name) values ('photos', '{bob}/{mallory}/planted.jpg');
-- leaks when exists (select from storage.objects where name like '{bob}/%planted.jpg')
