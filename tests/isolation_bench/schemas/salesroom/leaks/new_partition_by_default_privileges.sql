-- channel: default privileges
-- object: public.activities_2027
-- says: Default privileges open every new table, and the new partition has no row security.
alter default privileges in schema public grant select, insert, update, delete
on tables to authenticated;
create table public.activities_2027 (like public.activities including all excluding identity);
alter table public.activities attach partition public.activities_2027
for values from ('2028-01-01') to ('2029-01-01');
-- exploit as tess
insert into public.activities (account_id, kind, occurred_at, summary)
values (:org_b, 'mail', '2028-02-01', 'Mail of Borealis');
-- exploit as adam
select from public.activities_2027 where account_id = :org_b;
-- leaks when rows
