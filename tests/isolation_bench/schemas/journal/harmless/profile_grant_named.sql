-- channel: grant rewrite
-- object: public.profiles
-- says: The table-wide read grant is written as the list of all its columns.
revoke select on public.profiles from authenticated;
grant select (id, display_name, contact_email, plan, is_staff, birthday)
on public.profiles to authenticated;
-- request as adam
select id, contact_email from public.profiles where id = auth.uid();
-- works when rows
