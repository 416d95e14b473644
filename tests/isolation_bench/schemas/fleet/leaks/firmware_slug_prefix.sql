-- channel: storage
-- object: storage.objects
-- says: Paths begin with the slug, and one slug is the beginning of another.
create policy firmware_by_slug on storage.objects for select to authenticated
using (
    bucket_id = 'firmware'
    and exists (
        select
        from public.tenants as t
        where t.id = (select internal.tenant_id()) and starts_with(objects.name, t.slug)
    )
);
-- exploit as adam
select from storage.objects where name = 'northwind/three.bin';
-- leaks when rows
