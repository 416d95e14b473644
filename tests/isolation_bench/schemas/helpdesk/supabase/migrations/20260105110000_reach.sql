-- What is reached other than by reading a table: views, functions, files, live updates.
create view public.open_tickets
with (security_invoker = true) as
select t.id, t.org_id, t.number, t.subject, t.priority, c.name as customer
from public.tickets as t
left join public.customers as c on c.org_id = t.org_id and c.id = t.customer_id
where t.status = 'open';
grant select on public.open_tickets to authenticated;

create materialized view private.ticket_counts as
select t.org_id, t.status, count(*) as tickets
from public.tickets as t
group by t.org_id, t.status;

create function public.org_stats(p_org uuid)
returns table (status text, tickets bigint)
language plpgsql stable security definer
set search_path = ''
as $$
begin
    if private.is_member(p_org) is not true then
        raise exception 'not found' using errcode = 'PT404';
    end if;
    return query
    select t.status, count(*) from public.tickets as t where t.org_id = p_org group by t.status;
end
$$;

create function public.search_tickets(p_org uuid, p_words text)
returns setof public.tickets
language sql stable
set search_path = ''
as $$
    select t.*
    from public.tickets as t
    where t.org_id = p_org
        and t.subject_search @@ plainto_tsquery('simple', p_words)
$$;

create function public.close_ticket(p_ticket uuid)
returns void
language plpgsql security definer
set search_path = ''
as $$
begin
    update public.tickets
    set status = 'closed', closed_at = greatest(now(), opened_at)
    where id = p_ticket
        and private.has_role(org_id, '{owner,admin,agent}');
    if not found then
        raise exception 'not found' using errcode = 'PT404';
    end if;
end
$$;

grant execute on function
    public.org_stats(uuid),
    public.search_tickets(uuid, text),
    public.close_ticket(uuid)
to authenticated;

insert into storage.buckets (id, name, public) values ('attachments', 'attachments', false);

-- attachments/<organization>/<ticket>/<file>
create policy attachments_select on storage.objects for select to authenticated
using (
    bucket_id = 'attachments'
    and private.is_member(private.to_uuid((storage.foldername(name))[1]))
);
create policy attachments_insert on storage.objects for insert to authenticated
with check (
    bucket_id = 'attachments'
    and private.has_role(
        private.to_uuid((storage.foldername(name))[1]), '{owner,admin,agent}'
    )
);
create policy attachments_delete on storage.objects for delete to authenticated
using (
    bucket_id = 'attachments'
    and private.has_role(private.to_uuid((storage.foldername(name))[1]), '{owner,admin}')
);

-- Private channels are called desk:<organization>.
create policy desk_listen on realtime.messages for select to authenticated
using (
    split_part((select realtime.topic()), ':', 1) = 'desk'
    and private.is_member(private.to_uuid(split_part((select realtime.topic()), ':', 2)))
);
create policy desk_send on realtime.messages for insert to authenticated
with check (
    split_part((select realtime.topic()), ':', 1) = 'desk'
    and private.has_role(
        private.to_uuid(split_part((select realtime.topic()), ':', 2)), '{owner,admin,agent}'
    )
);

alter publication supabase_realtime add table public.tickets;

grant all on all tables in schema public to service_role;
grant all on all sequences in schema public to service_role;
