-- channel: notice
-- object: public.comments
-- says: A debugging notice in a definer trigger prints the last comment of anybody.
create function app.debug_comment()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    last text;
begin
    select string_agg(c.body, ', ') into last
    from public.comments as c
    where c.id <> new.id;
    raise warning 'before this: %', last;
    return null;
end
$$;
create trigger debug_comment after insert on public.comments
for each row execute function app.debug_comment();
-- exploit as adam
insert into public.comments (task_id, body) values ('a9000000-0000-4000-8000-000000000001', 'Hi');
-- leaks when notice Comment of Borealis
