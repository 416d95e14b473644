-- channel: function
-- object: public.org_stats
-- says: The definer function counts tickets of whatever organization it is asked about.
create or replace function public.org_stats(p_org uuid)
returns table (status text, tickets bigint)
language sql stable security definer
set search_path = ''
as $$
    select t.status, count(*) from public.tickets as t where t.org_id = p_org group by t.status
$$;
-- exploit as mallory
select from public.org_stats(:org_b);
-- leaks when rows
