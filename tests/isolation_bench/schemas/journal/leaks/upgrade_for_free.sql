-- channel: column privilege
-- object: public.profiles
-- says: The paid plan is one column grant away.
grant update (plan) on public.profiles to authenticated;
-- exploit as adam
update public.profiles set plan = 'plus' where id = auth.uid();
-- leaks when exists (select from public.profiles where id = :adam and plan = 'plus')
