-- channel: function
-- object: public.project_tree
-- says: The recursive function lost the line that asked whether the caller sees the project.
create or replace function public.project_tree(p_project uuid)
returns table (id uuid, parent_id uuid, title text, depth integer)
language sql stable security definer
set search_path = ''
as $$
    with recursive tree as (
        select t.id, t.parent_id, t.title, 0 as depth
        from public.tasks as t
        where t.project_id = p_project and t.parent_id is null
        union all
        select t.id, t.parent_id, t.title, tree.depth + 1
        from public.tasks as t
        join tree on tree.id = t.parent_id
        where tree.depth < 20
    )
    select * from tree
$$;
-- exploit as mallory
select from public.project_tree('b8000000-0000-4000-8000-000000000001');
-- leaks when rows
