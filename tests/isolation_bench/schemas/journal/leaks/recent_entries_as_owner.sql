-- channel: view
-- object: public.recent_entries
-- says: The view was dropped and created again without its option.
drop view public.recent_entries;
create view public.recent_entries as
select e.id, e.user_id, e.journal_id, e.written_on, left(e.body, 80) as beginning
from public.entries as e
where e.written_on > current_date - 30;
grant select on public.recent_entries to authenticated;
-- exploit as mallory
select from public.recent_entries where user_id = :bob;
-- leaks when rows
