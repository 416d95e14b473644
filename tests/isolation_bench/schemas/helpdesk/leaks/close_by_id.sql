-- channel: function
-- object: public.close_ticket
-- says: The definer function changes the ticket before anybody asked whose it is.
create or replace function public.close_ticket(p_ticket uuid)
returns void
language sql security definer
set search_path = ''
as $$
    update public.tickets
    set status = 'closed', closed_at = greatest(now(), opened_at)
    where id = p_ticket
$$;
-- exploit as adam
select public.close_ticket('d1000000-0000-4000-8000-00000000000b');
-- leaks when exists (select from public.tickets where org_id = :org_b and status = 'closed')
