-- Every tenth table has a view and two functions.
create view public.open_records_{n} with (security_invoker = true) as
select organization_id, id, name, amount_cents from public.records_{n} where status = 'open';
grant select on public.open_records_{n} to authenticated;
create function public.total_{n}(p_organization_id uuid)
returns bigint
language sql
stable
set search_path = ''
as $$
    select coalesce(sum(r.amount_cents), 0)::bigint
    from public.records_{n} as r
    where r.organization_id = p_organization_id
$$;
create function public.close_{n}(p_organization_id uuid, p_id uuid)
returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
    if p_organization_id <> all(array(select private.org_ids('{owner,admin}'))) then
        raise exception 'not allowed' using errcode = '42501';
    end if;
    update public.records_{n}
    set status = 'lost'
    where organization_id = p_organization_id and id = p_id;
end;
$$;
revoke execute on function public.total_{n}(uuid), public.close_{n}(uuid, uuid) from public, anon;
grant execute on function public.total_{n}(uuid), public.close_{n}(uuid, uuid) to authenticated;
