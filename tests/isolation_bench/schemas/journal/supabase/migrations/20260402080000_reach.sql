create view public.recent_entries
with (security_invoker = true) as
select e.id, e.user_id, e.journal_id, e.written_on, left(e.body, 80) as beginning
from public.entries as e
where e.written_on > current_date - 30;
grant select on public.recent_entries to authenticated;

create function public.export_journal(p_journal uuid)
returns jsonb
language plpgsql stable security definer
set search_path = ''
as $$
declare
    result jsonb;
begin
    select jsonb_build_object(
        'title', j.title,
        'entries', (
            select coalesce(jsonb_agg(e.body order by e.written_on), '[]')
            from public.entries as e
            where e.journal_id = j.id
        )
    ) into result
    from public.journals as j
    where j.id = p_journal and j.user_id = auth.uid();
    return result;
end
$$;

create function public.merge_tags(p_from uuid, p_into uuid)
returns integer
language plpgsql security definer
set search_path = ''
as $$
declare
    moved integer;
begin
    if (
        select count(*) from public.tags as t
        where t.id in (p_from, p_into) and t.user_id = auth.uid()
    ) <> 2 then
        raise exception 'not found' using errcode = 'PT404';
    end if;
    insert into public.entry_tags (user_id, entry_id, tag_id)
    select et.user_id, et.entry_id, p_into from public.entry_tags as et where et.tag_id = p_from
    on conflict do nothing;
    get diagnostics moved = row_count;
    delete from public.tags where id = p_from;
    return moved;
end
$$;

grant execute on function public.export_journal(uuid), public.merge_tags(uuid, uuid)
to authenticated;

insert into storage.buckets (id, name, public) values ('photos', 'photos', false);

create policy photos_owner on storage.objects for all to authenticated
using (bucket_id = 'photos' and (storage.foldername(name))[1] = (select auth.uid()::text))
with check (bucket_id = 'photos' and (storage.foldername(name))[1] = (select auth.uid()::text));

create policy own_channel on realtime.messages for select to authenticated
using ((select realtime.topic()) = 'user:' || (select auth.uid())::text);
