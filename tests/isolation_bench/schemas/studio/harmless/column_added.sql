-- channel: unrelated
-- object: public.tasks
-- says: A nullable column, an index and a trigger that only touches its own row.
alter table public.tasks add column color text check (color ~ '^#[0-9a-f]{6}$');
create index on public.tasks (project_id, state);
create function app.trim_title()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.title := btrim(new.title);
    return new;
end
$$;
create trigger trim_title before insert or update on public.tasks
for each row execute function app.trim_title();
-- request as adam
update public.tasks set title = ' Draw it ' where title = 'Draw the poster' returning id;
-- works when rows
