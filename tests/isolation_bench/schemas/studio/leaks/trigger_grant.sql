-- channel: table privilege
-- object: public.tasks
-- says: The TRIGGER privilege lets a stranger attach code that runs when others write.
grant trigger on public.tasks to authenticated;
-- exploit as mallory
create function pg_temp.swallow() returns trigger language plpgsql as $$
begin
    return null;
end
$$;
create trigger zz_swallow before insert on public.tasks
for each row execute function pg_temp.swallow();
-- exploit as beth
insert into public.tasks (project_id, title)
values ('b8000000-0000-4000-8000-000000000001', 'Swallowed');
-- leaks when exists (select from pg_trigger where tgname = 'zz_swallow')
--     and not exists (select from public.tasks where title = 'Swallowed')
