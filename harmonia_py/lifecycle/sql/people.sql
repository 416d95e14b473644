-- Everybody whom a row of the organization names, so that it can stand elsewhere.
select
    u.id,
    u.email::text as email,
    p.display_name
from auth.users as u
left join public.profiles as p on u.id = p.user_id
where u.id = any(%(people)s)
order by u.id
