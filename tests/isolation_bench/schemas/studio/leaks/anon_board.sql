-- channel: anon
-- object: public.project_tree
-- says: The project tree, made public for embedding, has no condition left for visitors.
create or replace function public.project_tree(p_project uuid)
returns table (id uuid, parent_id uuid, title text, depth integer)
language sql stable security definer
set search_path = ''
as $$
    select t.id, t.parent_id, t.title, 0
    from public.tasks as t
    where t.project_id = p_project
        and (auth.uid() is null or t.project_id in (select app.visible_project_ids()))
$$;
grant execute on function public.project_tree(uuid) to anon;
-- exploit as anon
select from public.project_tree('b8000000-0000-4000-8000-000000000001');
-- leaks when rows
