-- channel: unique oracle
-- object: public.reminders
-- says: The unique key lost the user: a refused time is a time somebody else is reminded.
alter table public.reminders drop constraint reminders_user_id_at_key;
alter table public.reminders add unique (at);
-- exploit as mallory
insert into public.reminders (at, text) values ('2026-05-09', 'x');
insert into public.reminders (at, text) values ('2026-05-02', 'x');
-- leaks when differs
