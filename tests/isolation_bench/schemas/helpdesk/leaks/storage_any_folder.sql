-- channel: storage
-- object: storage.objects
-- says: Any folder of the path may name my organization, not only the first.
drop policy attachments_select on storage.objects;
create policy attachments_select on storage.objects for select to authenticated
using (
    bucket_id = 'attachments'
    and exists (
        select from unnest(storage.foldername(name)) as folder
        where private.is_member(private.to_uuid(folder))
    )
);
-- exploit as adam
select from storage.objects where name like '{org_b}/%';
-- leaks when rows
