-- channel: read
-- object: public.profiles
-- says: Names should be public, so the whole profile is, address and birthday included.
create policy profiles_everybody on public.profiles for select to authenticated using (true);
-- exploit as mallory
select contact_email from public.profiles where id = :bob;
-- leaks when rows
