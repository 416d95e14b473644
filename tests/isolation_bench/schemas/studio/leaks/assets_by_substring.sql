-- channel: storage
-- object: storage.objects
-- says: Upload policy: the project id may stand anywhere in the path.
drop policy assets_add on storage.objects;
create policy assets_add on storage.objects for insert to authenticated
with check (
    bucket_id = 'assets'
    and exists (
        select from app.working_project_ids() as p where position(p::text in name) > 0
    )
);
-- exploit as adam
insert into storage.objects (bucket_id, name)
values (
    'assets',
    'b8000000-0000-4000-8000-000000000001/a8000000-0000-4000-8000-000000000001.png'
);
-- leaks when exists (
--     select from storage.objects
--     where name like 'b8000000-0000-4000-8000-000000000001/a8%'
-- )
