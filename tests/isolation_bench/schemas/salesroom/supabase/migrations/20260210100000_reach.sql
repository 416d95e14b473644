create view public.pipeline
with (security_invoker = on) as
select d.account_id, d.stage, count(*) as deals, sum(d.amount_minor) as amount_minor
from public.deals as d
where d.deleted_at is null
group by d.account_id, d.stage;
grant select on public.pipeline to authenticated;

create view public.contact_cards
with (security_invoker = on) as
select c.id, c.account_id, c.full_name, c.email, o.name as company
from public.contacts as c
left join public.companies as o on o.id = c.company_id;
grant select on public.contact_cards to authenticated;

-- Runs as the caller: row level security answers who may see a duplicate.
create function public.find_duplicates(p_email text)
returns setof uuid
language sql stable
set search_path = ''
as $$
    select c.id from public.contacts as c where c.email = lower(p_email)
$$;

create function public.save_note(p_note uuid, p_account uuid, p_deal uuid, p_body text)
returns uuid
language sql
set search_path = ''
as $$
    insert into public.deal_notes as n (id, account_id, deal_id, body)
    values (p_note, p_account, p_deal, p_body)
    on conflict (id) do update set body = excluded.body
    returning n.id
$$;

grant execute on function
    public.find_duplicates(text),
    public.save_note(uuid, uuid, uuid, text)
to authenticated;

insert into storage.buckets (id, name, public) values ('contracts', 'contracts', false);

create policy "contracts by account folder" on storage.objects for select to authenticated
using (
    bucket_id = 'contracts'
    and (storage.foldername(name))[1] in (
        select m.account_id::text
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    )
);
create policy "contracts are uploaded by sellers" on storage.objects for insert to authenticated
with check (
    bucket_id = 'contracts'
    and (storage.foldername(name))[1] in (
        select m.account_id::text
        from public.memberships as m
        where m.user_id = (select auth.uid())
            and m.role <> 'reader'
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    )
);
