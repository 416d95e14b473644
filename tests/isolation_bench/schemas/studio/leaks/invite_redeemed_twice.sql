-- channel: escalation
-- object: public.redeem_invite
-- says: A code works again after it was used, so a forwarded mail lets a former member back in.
create or replace function public.redeem_invite(p_code text)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
    invite public.workspace_invites;
begin
    select * into invite from public.workspace_invites where code = p_code for update;
    if auth.uid() is null
        or invite.id is null
        or invite.valid_until <= now()
        or invite.email is distinct from lower(auth.jwt() ->> 'email')
    then
        raise exception 'this invitation cannot be used' using errcode = 'PT403';
    end if;
    insert into public.workspace_members (workspace_id, user_id)
    values (invite.workspace_id, auth.uid())
    on conflict (workspace_id, user_id) do update set left_at = null;
    return invite.workspace_id;
end
$$;
-- exploit as dora
select public.redeem_invite('code-redeemed');
select from public.tasks where title = 'Cut the film';
-- leaks when rows
