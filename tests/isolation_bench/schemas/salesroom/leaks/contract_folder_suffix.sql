-- channel: storage
-- object: storage.objects
-- says: The folder test is a substring search over the whole path.
drop policy "contracts are uploaded by sellers" on storage.objects;
create policy "contracts are uploaded by sellers" on storage.objects for insert to authenticated
with check (
    bucket_id = 'contracts'
    and exists (
        select
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and m.role <> 'reader'
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
            and storage.objects.name like '%' || m.account_id::text || '%'
    )
);
-- exploit as adam
insert into storage.objects (bucket_id, name) values ('contracts', '{org_b}/{org_a}.pdf');
-- leaks when exists (select from storage.objects where name = '{org_b}/{org_a}.pdf')
