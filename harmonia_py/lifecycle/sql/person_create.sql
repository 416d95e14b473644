-- Somebody who can be invited to set a password; the address is not taken as confirmed here.
insert into auth.users (
    instance_id, id, aud, role, email, raw_app_meta_data, raw_user_meta_data, created_at,
    updated_at
)
values (
    '00000000-0000-0000-0000-000000000000', %(id)s, 'authenticated', 'authenticated', %(email)s,
    '{}', '{}', pg_catalog.now(), pg_catalog.now()
)
on conflict (id) do nothing
