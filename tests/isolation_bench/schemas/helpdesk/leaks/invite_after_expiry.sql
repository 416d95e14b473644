-- channel: lifecycle
-- object: public.accept_invite
-- says: An invitation works for ever: its end is stored but not compared.
create or replace function public.accept_invite(p_token uuid)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
    invite public.invites;
begin
    update public.invites
    set accepted_at = now()
    where token = p_token and email = lower(auth.jwt() ->> 'email') and accepted_at is null
    returning * into invite;
    if invite.id is null or auth.uid() is null then
        raise exception 'this invitation cannot be used' using errcode = 'PT403';
    end if;
    insert into public.organization_members (org_id, user_id, role)
    values (invite.org_id, auth.uid(), invite.role)
    on conflict do nothing;
    return invite.org_id;
end
$$;
-- exploit as ivan
select public.accept_invite('70000000-0000-4000-8000-000000000002');
select from public.tickets where org_id = :org_b;
-- leaks when rows
