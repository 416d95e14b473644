-- channel: function
-- object: public.transfer_device
-- says: `if role <> 'manager' then refuse` lets a caller without a role through, into any tenant.
create or replace function public.transfer_device(p_device uuid, p_site uuid)
returns boolean
language plpgsql security definer
set search_path = ''
as $$
declare
    mine uuid := internal.tenant_id();
begin
    if internal.app_role() <> 'manager' then
        return false;
    end if;
    update public.devices as d
    set site_id = s.id
    from public.sites as s
    where d.id = p_device
        and s.id = p_site
        and d.tenant_id = s.tenant_id
        and not (d.tenant_id is distinct from coalesce(mine, d.tenant_id));
    return found;
end
$$;
-- exploit as mallory
select public.transfer_device(
    'd4000000-0000-4000-8000-0000000000bb', 'c4000000-0000-4000-8000-00000000000b'
);
-- leaks when exists (
--     select from public.devices
--     where id = 'd4000000-0000-4000-8000-0000000000bb' and site_id is not null
-- )
