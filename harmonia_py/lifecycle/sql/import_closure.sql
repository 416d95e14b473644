-- One that was closing goes on closing, with its whole time to change its mind.
insert into private.closures (organization_id)
select o.id
from public.organizations as o
where o.id = %(organization)s and o.status in ('closing', 'closed')
on conflict (organization_id) do nothing
