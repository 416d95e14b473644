-- channel: view rewrite
-- object: public.tag_cloud
-- says: A new view counts one's own tags, as the caller.
create view public.tag_cloud
with (security_invoker = true, security_barrier = true) as
select t.user_id, t.name, count(et.entry_id) as entries
from public.tags as t
left join public.entry_tags as et on et.user_id = t.user_id and et.tag_id = t.id
group by t.user_id, t.name;
grant select on public.tag_cloud to authenticated;
-- request as alice
select from public.tags where user_id = auth.uid();
-- works when rows
