-- channel: error text
-- object: public.close_ticket
-- says: The refusal politely says whose ticket it is and what it is about.
create or replace function public.close_ticket(p_ticket uuid)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
    ticket public.tickets;
begin
    select * into ticket from public.tickets where id = p_ticket;
    if private.has_role(ticket.org_id, '{owner,admin,agent}') is not true then
        raise exception 'you may not close "%"', ticket.subject
            using errcode = 'PT403', detail = format('It belongs to %s.', ticket.org_id);
    end if;
    update public.tickets
    set status = 'closed', closed_at = greatest(now(), opened_at)
    where id = p_ticket;
end
$$;
-- exploit as mallory
select public.close_ticket('d1000000-0000-4000-8000-00000000000b');
-- leaks when error Router of Borealis.*{org_b}
