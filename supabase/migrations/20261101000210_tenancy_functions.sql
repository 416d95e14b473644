set local lock_timeout = '4s';

-- Each function that clients call is a thin SECURITY INVOKER wrapper in `public`. What needs
-- rights the caller does not have is the SECURITY DEFINER function of the same name in `private`,
-- whose first act is to check the caller.

-- Who is asking -----------------------------------------------------------------------------
create function private.current_user_id()
returns uuid
language plpgsql
stable
-- Reads auth.users, which clients may not.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id constant uuid := auth.uid();
begin
    if v_user_id is not null
        and coalesce(auth.jwt() ->> 'is_anonymous', 'false') = 'false'
        and exists (
            select 1
            from auth.users as u
            where
                u.id = v_user_id
                and u.deleted_at is null
                and (u.banned_until is null or u.banned_until <= pg_catalog.now())
        )
        -- As for the authorizer: whoever has a second factor is not there without it. A stolen
        -- password must not end a membership, or enter into one.
        and (
            coalesce(auth.jwt() ->> 'aal', 'aal1') = 'aal2'
            or not exists (
                select 1
                from auth.mfa_factors as f
                where f.user_id = v_user_id and f.status = 'verified'
            )
        )
    then
        return v_user_id;
    end if;
    perform private.fail(
        401, 'session.required', 'this needs a signed-in user',
        'sign in with an account, and with its second factor if it has one'
    );
    return null;
end;
$$;
comment on function private.current_user_id() is
'The signed-in person; refuses anonymous sign-ins, API keys, deleted or banned users, and those who
have a second factor and did not use it.';

create function private.caller_rank(p_organization_id uuid)
returns bigint
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select r.rank
    from public.memberships as m
    inner join public.roles as r
        on m.organization_id = r.organization_id and m.role = r.key
    where
        m.organization_id = p_organization_id
        and m.user_id = auth.uid()
        and m.status = 'active'
$$;
comment on function private.caller_rank(uuid) is
'The rank of the caller in an organization; null without an active membership. Internal.';

create function private.lock_organization(p_organization_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- One change of membership at a time in one organization, so that two of them cannot each
    -- rely on what the other removes. NO KEY: inserting records of the tenant goes on.
    perform 1
    from public.organizations as o
    where o.id = p_organization_id
    for no key update;
end;
$$;
comment on function private.lock_organization(uuid) is
'Serializes changes of membership and roles in one organization. Internal.';

create function private.require_locked(p_organization_id uuid, p_permission text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Before waiting, because waiting would tell a stranger what goes on in there. And after it:
    -- what was waited for may have been the end of this permission.
    perform private.require(p_organization_id, p_permission);
    perform private.lock_organization(p_organization_id);
    perform private.require(p_organization_id, p_permission);
end;
$$;
comment on function private.require_locked(uuid, text) is
'Locks an organization for a caller who holds a permission then, not only before. Internal.';

create function private.require_outranks(p_organization_id uuid, p_rank bigint)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_own constant bigint := private.caller_rank(p_organization_id);
begin
    -- Written as what is permitted: a null rank permits nothing. Owners manage other owners.
    if v_own > p_rank or (v_own = 100 and p_rank = 100) then
        return;
    end if;
    perform private.fail(
        403,
        'role.outranked',
        'one manages only members and roles that rank below one''s own',
        'ask an owner of the organization'
    );
end;
$$;
comment on function private.require_outranks(uuid, bigint) is
'Refuses a caller whose rank is not above the given one. Internal.';

create function private.require_grantable(p_organization_id uuid, p_role text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rank bigint;
    v_missing text;
begin
    select r.rank
    into v_rank
    from public.roles as r
    where r.organization_id = p_organization_id and r.key = p_role;
    if v_rank is null then
        perform private.fail(
            404,
            'role.unknown',
            pg_catalog.format('there is no role %s in this organization', p_role),
            'list the roles of the organization'
        );
    end if;
    perform private.require_outranks(p_organization_id, v_rank);
    select pg_catalog.min(t.permission)
    into v_missing
    from private.role_permission_keys(p_organization_id, p_role) as t (permission)
    where
        t.permission not in (
            select o.permission
            from public.memberships as m
            cross join lateral private.role_permission_keys(
                p_organization_id, m.role
            ) as o (permission)
            where m.organization_id = p_organization_id and m.user_id = auth.uid()
        );
    if v_missing is not null then
        perform private.fail(
            403,
            'role.beyond_own',
            pg_catalog.format('the role %s holds %s, which you do not', p_role, v_missing),
            'grant a role whose permissions you hold yourself'
        );
    end if;
end;
$$;
comment on function private.require_grantable(uuid, text) is
'Refuses to hand out a role that outranks the caller or may do more than the caller. Internal.';

create function private.member_rank(p_organization_id uuid, p_user_id uuid)
returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rank bigint;
begin
    select r.rank
    into v_rank
    from public.memberships as m
    inner join public.roles as r
        on m.organization_id = r.organization_id and m.role = r.key
    where m.organization_id = p_organization_id and m.user_id = p_user_id;
    if v_rank is null then
        perform private.fail(
            404,
            'membership.unknown',
            'this person is not a member of the organization',
            'list the members of the organization'
        );
    end if;
    return v_rank;
end;
$$;
comment on function private.member_rank(uuid, uuid) is
'The rank of a member; refuses who is not one. Internal.';

-- Organizations -----------------------------------------------------------------------------
create function private.provision_roles(p_organization_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into public.roles (organization_id, key, name, rank, builtin) values
    (p_organization_id, 'owner', 'Owner', 100, true),
    (p_organization_id, 'admin', 'Administrator', 80, true),
    (p_organization_id, 'manager', 'Manager', 60, true),
    (p_organization_id, 'member', 'Member', 40, true),
    (p_organization_id, 'viewer', 'Viewer', 20, true)
    on conflict do nothing
$$;
comment on function private.provision_roles(uuid) is
'Gives an organization the five built-in roles. Internal.';

create function private.tg_organizations__provision_roles()
returns trigger
language plpgsql
-- Whoever creates an organization may not write roles.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.provision_roles(new.id);
    return null;
end;
$$;
comment on function private.tg_organizations__provision_roles() is
'No organization without its built-in roles, whichever way it was created.';

create trigger tg_organizations__provision_roles
after insert on public.organizations
for each row
execute function private.tg_organizations__provision_roles();

create function private.create_organization(p_name text, p_slug text)
returns setof public.organizations
language plpgsql
volatile
-- Clients cannot insert organizations or memberships.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id constant uuid := private.current_user_id();
    v_id uuid;
begin
    -- One at a time for one person, or requests sent together would each count what was before.
    perform pg_catalog.pg_advisory_xact_lock(
        pg_catalog.hashtextextended('create_organization ' || v_user_id::text, 0)
    );
    -- Bounded, so that one account cannot fill the table or squat on names.
    if (
        select pg_catalog.count(*)
        from public.memberships as m
        where m.user_id = v_user_id and m.role = 'owner'
    ) >= 20
    then
        perform private.fail(
            409,
            'organization.too_many',
            'one person can own at most 20 organizations',
            'close or hand over one of them first'
        );
    end if;
    begin
        insert into public.organizations (name, slug)
        values (p_name, p_slug)
        returning id into v_id;
    exception when unique_violation then
        perform private.fail(
            409, 'organization.slug_taken', 'this short name is taken', 'choose another slug'
        );
    end;
    insert into public.memberships (organization_id, user_id, role)
    values (v_id, v_user_id, 'owner');
    perform private.provision_crm(v_id);
    return query select o.* from public.organizations as o where o.id = v_id;
end;
$$;
comment on function private.create_organization(text, text) is
'Creates an organization whose first owner is the caller.';
grant execute on function private.create_organization(text, text) to authenticated;

create function public.create_organization(name text, slug text)
returns setof public.organizations
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select * from private.create_organization(name, slug)
$$;
comment on function public.create_organization(text, text) is
'Creates an organization; the caller becomes its first owner.';
grant execute on function public.create_organization(text, text) to authenticated;

create function private.set_require_mfa(p_organization_id uuid, p_required boolean)
returns void
language plpgsql
volatile
-- The column is not writable by clients.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_locked(p_organization_id, 'organization.security');
    update public.organizations
    set require_mfa = p_required
    where id = p_organization_id;
end;
$$;
comment on function private.set_require_mfa(uuid, boolean) is
'Switches the second-factor rule. Step-up: whoever switches it on has a second factor.';
grant execute on function private.set_require_mfa(uuid, boolean) to authenticated;

create function public.set_require_mfa(organization_id uuid, required boolean)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.set_require_mfa(organization_id, required)
$$;
comment on function public.set_require_mfa(uuid, boolean) is
'Requires a second factor of every member. Needs organization.security and a session at aal2.';
grant execute on function public.set_require_mfa(uuid, boolean) to authenticated;

create function private.set_active_organization(p_organization_id uuid)
returns void
language plpgsql
volatile
-- The column is not writable by clients.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id constant uuid := private.current_user_id();
begin
    perform private.require(p_organization_id, 'organization.read');
    insert into public.user_settings (user_id, active_organization_id)
    values (v_user_id, p_organization_id)
    on conflict (user_id) do update
    set active_organization_id = excluded.active_organization_id;
end;
$$;
comment on function private.set_active_organization(uuid) is
'Remembers which organization the caller works in.';
grant execute on function private.set_active_organization(uuid) to authenticated;

create function public.set_active_organization(organization_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.set_active_organization(organization_id)
$$;
comment on function public.set_active_organization(uuid) is
'Remembers which organization the caller works in. Grants nothing.';
grant execute on function public.set_active_organization(uuid) to authenticated;

-- Invitations -------------------------------------------------------------------------------
create function private.invite_member(
    p_organization_id uuid, p_email text, p_role text, p_expires_in interval
)
returns table (invitation_id uuid, token text, expires_at timestamptz)
language plpgsql
volatile
-- Clients cannot write invitations, and nobody can read their token hashes.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id constant uuid := private.current_user_id();
    v_email constant text := pg_catalog.lower(pg_catalog.btrim(p_email));
    -- 244 random bits: two version-4 UUIDs. The core has no other source of random bytes.
    v_token constant text := pg_catalog.replace(
        pg_catalog.gen_random_uuid()::text || pg_catalog.gen_random_uuid()::text, '-', ''
    );
    v_id uuid;
    v_expires_at timestamptz;
begin
    perform private.require_locked(p_organization_id, 'members.invite');
    perform private.require_grantable(p_organization_id, p_role);
    if exists (
        select 1
        from public.memberships as m
        inner join auth.users as u on m.user_id = u.id
        where m.organization_id = p_organization_id and pg_catalog.lower(u.email) = v_email
    ) then
        perform private.fail(
            409,
            'invitation.already_member',
            'this person is already a member of the organization',
            'change the role of the member instead'
        );
    end if;
    -- A new invitation to the same address replaces the open one and its token.
    update public.invitations as i
    set revoked_at = pg_catalog.now()
    where
        i.organization_id = p_organization_id
        and i.email = v_email
        and i.accepted_at is null
        and i.revoked_at is null;
    insert into public.invitations as i (
        organization_id, email, role, invited_by, made_at_aal2, expires_at
    )
    values (
        p_organization_id,
        v_email,
        p_role,
        v_user_id,
        private.at_aal2(),
        pg_catalog.now() + p_expires_in
    )
    returning i.id, i.expires_at into v_id, v_expires_at;
    insert into private.invitation_tokens (organization_id, invitation_id, token_sha256)
    values (
        p_organization_id,
        v_id,
        pg_catalog.sha256(pg_catalog.convert_to(v_token, 'UTF8'))
    );
    return query select v_id, v_token, v_expires_at;
end;
$$;
comment on function private.invite_member(uuid, text, text, interval) is
'Invites an e-mail address and returns the token once; only its hash is kept.';
grant execute on function private.invite_member(uuid, text, text, interval) to authenticated;

create function public.invite_member(
    organization_id uuid, email text, role text, expires_in interval default '7 days'
)
returns table (invitation_id uuid, token text, expires_at timestamptz)
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select i.invitation_id, i.token, i.expires_at
    from private.invite_member(organization_id, email, role, expires_in) as i
$$;
comment on function public.invite_member(uuid, text, text, interval) is
'Invites an e-mail address in a role. Needs members.invite. The token is returned only here.';
grant execute on function public.invite_member(uuid, text, text, interval) to authenticated;

create function private.accept_invitation(p_token text)
returns uuid
language plpgsql
volatile
-- Reads token hashes and writes a membership.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id constant uuid := private.current_user_id();
    v_invitation public.invitations;
begin
    select i.*
    into v_invitation
    from private.invitation_tokens as t
    inner join public.invitations as i
        on t.organization_id = i.organization_id and t.invitation_id = i.id
    where t.token_sha256 = pg_catalog.sha256(pg_catalog.convert_to(p_token, 'UTF8'));
    if v_invitation.organization_id is not null then
        perform private.lock_organization(v_invitation.organization_id);
        -- Read again under the lock: it may have been used or revoked meanwhile. Locked itself: who
        -- revokes it now waits, and is told that it is too late.
        select i.*
        into v_invitation
        from public.invitations as i
        where
            i.organization_id = v_invitation.organization_id
            and i.id = v_invitation.id
            and i.accepted_at is null
            and i.revoked_at is null
            and i.expires_at > pg_catalog.clock_timestamp()
        for update;
    end if;
    -- One answer for every reason: an unknown token, another person's, a used or expired one.
    -- The address must be proven to belong to the caller; the token alone is not enough.
    if v_invitation.organization_id is null
        or not exists (
            select 1
            from auth.users as u
            where
                u.id = v_user_id
                and pg_catalog.lower(u.email) = v_invitation.email
                and u.email_confirmed_at is not null
        )
        or not exists (
            select 1
            from public.organizations as o
            where
                o.id = v_invitation.organization_id
                and o.status = 'active'
                -- What was made with a password alone must not outlive the rule.
                and (not o.require_mfa or v_invitation.made_at_aal2)
        )
        or not private.may_still_grant(
            v_invitation.organization_id, v_invitation.invited_by, v_invitation.role
        )
    then
        perform private.fail(
            404,
            'invitation.invalid',
            'this invitation cannot be used',
            'sign in with the invited e-mail address, or ask for a new invitation'
        );
    end if;
    insert into public.memberships (organization_id, user_id, role)
    values (v_invitation.organization_id, v_user_id, v_invitation.role)
    on conflict do nothing;
    if not found then
        perform private.fail(
            409,
            'invitation.already_member',
            'you are already a member of this organization',
            'open the organization'
        );
    end if;
    update public.invitations as i
    set accepted_at = pg_catalog.now(), accepted_by = v_user_id
    where i.organization_id = v_invitation.organization_id and i.id = v_invitation.id;
    delete from private.invitation_tokens as t
    where t.organization_id = v_invitation.organization_id and t.invitation_id = v_invitation.id;
    return v_invitation.organization_id;
end;
$$;
comment on function private.accept_invitation(text) is
'Joins the organization of an invitation; single use, bound to the invited e-mail address.';
grant execute on function private.accept_invitation(text) to authenticated;

create function private.may_still_grant(
    p_organization_id uuid, p_user_id uuid, p_role text
)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    -- An offer is as good as who made it: an inviter who was removed, suspended, demoted or
    -- banned since can no longer let anybody in, nor one without the second factor that is required.
    select exists (
        select 1
        from public.memberships as m
        inner join public.roles as own
            on m.organization_id = own.organization_id and m.role = own.key
        inner join public.roles as offered
            on
                m.organization_id = offered.organization_id
                and offered.key = p_role
        inner join public.organizations as o on m.organization_id = o.id
        inner join auth.users as u on m.user_id = u.id
        where
            m.organization_id = p_organization_id
            and m.user_id = p_user_id
            and m.status = 'active'
            and u.deleted_at is null
            and (u.banned_until is null or u.banned_until <= pg_catalog.now())
            and (
                not o.require_mfa
                or exists (
                    select 1
                    from auth.mfa_factors as f
                    where f.user_id = u.id and f.status = 'verified'
                )
            )
            and (own.rank > offered.rank or (own.rank = 100 and offered.rank = 100))
            and 'members.invite' in (
                select private.role_permission_keys(p_organization_id, m.role)
            )
            and not exists (
                select 1
                from private.role_permission_keys(p_organization_id, p_role) as t (permission)
                where
                    t.permission not in (
                        select private.role_permission_keys(p_organization_id, m.role)
                    )
            )
    )
$$;
comment on function private.may_still_grant(uuid, uuid, text) is
'Whether a person could hand out a role today. Internal.';

create function public.accept_invitation(token text)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.accept_invitation(token)
$$;
comment on function public.accept_invitation(text) is
'Accepts an invitation to the caller''s own, confirmed e-mail address; returns the organization.';
grant execute on function public.accept_invitation(text) to authenticated;

create function private.revoke_invitation(p_organization_id uuid, p_invitation_id uuid)
returns void
language plpgsql
volatile
-- Clients cannot write invitations.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require(p_organization_id, 'members.invite');
    update public.invitations as i
    set revoked_at = pg_catalog.now()
    where
        i.organization_id = p_organization_id
        and i.id = p_invitation_id
        and i.accepted_at is null
        and i.revoked_at is null;
    if not found then
        perform private.fail(
            404,
            'invitation.unknown',
            'there is no open invitation with this id',
            'list the invitations of the organization'
        );
    end if;
    delete from private.invitation_tokens as t
    where t.organization_id = p_organization_id and t.invitation_id = p_invitation_id;
end;
$$;
comment on function private.revoke_invitation(uuid, uuid) is 'Withdraws an open invitation.';
grant execute on function private.revoke_invitation(uuid, uuid) to authenticated;

create function public.revoke_invitation(organization_id uuid, invitation_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.revoke_invitation(organization_id, invitation_id)
$$;
comment on function public.revoke_invitation(uuid, uuid) is
'Withdraws an open invitation. Needs members.invite.';
grant execute on function public.revoke_invitation(uuid, uuid) to authenticated;

-- Members -----------------------------------------------------------------------------------
create function private.change_member_role(
    p_organization_id uuid, p_user_id uuid, p_role text
)
returns void
language plpgsql
volatile
-- Clients cannot write memberships.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_locked(p_organization_id, 'members.update');
    perform private.require_outranks(
        p_organization_id, private.member_rank(p_organization_id, p_user_id)
    );
    perform private.require_grantable(p_organization_id, p_role);
    update public.memberships as m
    set role = p_role
    where m.organization_id = p_organization_id and m.user_id = p_user_id;
end;
$$;
comment on function private.change_member_role(uuid, uuid, text) is
'Gives a member another role, within the caller''s own rank and permissions.';
grant execute on function private.change_member_role(uuid, uuid, text) to authenticated;

create function public.change_member_role(organization_id uuid, user_id uuid, role text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.change_member_role(organization_id, user_id, role)
$$;
comment on function public.change_member_role(uuid, uuid, text) is
'Gives a member another role. Needs members.update, a higher rank and every permission given.';
grant execute on function public.change_member_role(uuid, uuid, text) to authenticated;

create function private.set_member_status(
    p_organization_id uuid, p_user_id uuid, p_status text
)
returns void
language plpgsql
volatile
-- Clients cannot write memberships.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_locked(p_organization_id, 'members.update');
    perform private.require_outranks(
        p_organization_id, private.member_rank(p_organization_id, p_user_id)
    );
    -- Letting somebody in again hands out their role once more.
    if p_status = 'active' then
        perform private.require_grantable(p_organization_id, m.role)
        from public.memberships as m
        where m.organization_id = p_organization_id and m.user_id = p_user_id;
    end if;
    update public.memberships as m
    set status = p_status
    where m.organization_id = p_organization_id and m.user_id = p_user_id;
end;
$$;
comment on function private.set_member_status(uuid, uuid, text) is
'Suspends or reinstates a member below the caller; gives back only what the caller holds.';
grant execute on function private.set_member_status(uuid, uuid, text) to authenticated;

create function public.suspend_member(organization_id uuid, user_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.set_member_status(organization_id, user_id, 'suspended')
$$;
comment on function public.suspend_member(uuid, uuid) is
'Takes all access from a member at once and keeps the seat. Needs members.update.';
grant execute on function public.suspend_member(uuid, uuid) to authenticated;

create function public.reinstate_member(organization_id uuid, user_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.set_member_status(organization_id, user_id, 'active')
$$;
comment on function public.reinstate_member(uuid, uuid) is
'Gives a suspended member access again. Needs members.update and every permission given back.';
grant execute on function public.reinstate_member(uuid, uuid) to authenticated;

create function private.remove_member(p_organization_id uuid, p_user_id uuid)
returns void
language plpgsql
volatile
-- Clients cannot write memberships.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_locked(p_organization_id, 'members.remove');
    perform private.require_outranks(
        p_organization_id, private.member_rank(p_organization_id, p_user_id)
    );
    delete from public.memberships as m
    where m.organization_id = p_organization_id and m.user_id = p_user_id;
    -- Whoever changed their address may hold an invitation to the new one; it is no way back.
    update public.invitations as i
    set revoked_at = pg_catalog.now()
    from auth.users as u
    where
        u.id = p_user_id
        and i.organization_id = p_organization_id
        and i.email = pg_catalog.lower(u.email)
        and i.accepted_at is null
        and i.revoked_at is null;
end;
$$;
comment on function private.remove_member(uuid, uuid) is
'Removes a member who ranks below the caller, and open invitations to the same address.';
grant execute on function private.remove_member(uuid, uuid) to authenticated;

create function public.remove_member(organization_id uuid, user_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.remove_member(organization_id, user_id)
$$;
comment on function public.remove_member(uuid, uuid) is
'Removes a member; access ends at once. Needs members.remove and a higher rank.';
grant execute on function public.remove_member(uuid, uuid) to authenticated;

create function private.leave_organization(p_organization_id uuid)
returns void
language plpgsql
volatile
-- Clients cannot write memberships.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id constant uuid := private.current_user_id();
begin
    -- Only members may wait for the lock: to others it would tell what goes on in there.
    if exists (
        select 1
        from public.memberships as m
        where m.organization_id = p_organization_id and m.user_id = v_user_id
    ) then
        perform private.lock_organization(p_organization_id);
    end if;
    delete from public.memberships as m
    where
        m.organization_id = p_organization_id
        and m.user_id = v_user_id
        -- Whoever is suspended is looked at first: the trace of the membership stays.
        and m.status = 'active';
    if not found then
        perform private.fail(
            404,
            'membership.unknown',
            'you are not an active member of this organization',
            'list your organizations'
        );
    end if;
end;
$$;
comment on function private.leave_organization(uuid) is
'Ends the caller''s own active membership.';
grant execute on function private.leave_organization(uuid) to authenticated;

create function public.leave_organization(organization_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.leave_organization(organization_id)
$$;
comment on function public.leave_organization(uuid) is
'Ends the caller''s own membership. The last owner cannot leave.';
grant execute on function public.leave_organization(uuid) to authenticated;

create function private.transfer_ownership(p_organization_id uuid, p_user_id uuid)
returns void
language plpgsql
volatile
-- Clients cannot write memberships.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_caller_id constant uuid := private.current_user_id();
begin
    perform private.require_locked(p_organization_id, 'organization.transfer');
    -- Only an owner has ownership to hand over, whatever a custom role or a grant says.
    perform private.require_outranks(p_organization_id, 100);
    if p_user_id = v_caller_id then
        perform private.fail(
            409,
            'ownership.to_self',
            'you already own this organization',
            'name another member'
        );
    end if;
    -- The turns of both at once: two who hand each other an organization would each have one.
    perform private.take_turns(
        array[p_organization_id],
        array(
            select m.user_id
            from public.memberships as m
            where
                m.organization_id = p_organization_id
                and m.user_id in (v_caller_id, p_user_id)
        )
    );
    update public.memberships as m
    set role = 'owner'
    where
        m.organization_id = p_organization_id
        and m.user_id = p_user_id
        and m.status = 'active'
        -- Who can no longer sign in could neither use it nor hand it on.
        and exists (
            select 1
            from auth.users as u
            where
                u.id = m.user_id
                and u.deleted_at is null
                and (u.banned_until is null or u.banned_until <= pg_catalog.now())
        );
    if not found then
        perform private.fail(
            404,
            'membership.unknown',
            'the new owner must be an active member of the organization',
            'invite or reinstate this person first'
        );
    end if;
    update public.memberships as m
    set role = 'admin'
    where m.organization_id = p_organization_id and m.user_id = v_caller_id;
end;
$$;
comment on function private.transfer_ownership(uuid, uuid) is
'Makes another active member the owner and the caller an administrator.';
grant execute on function private.transfer_ownership(uuid, uuid) to authenticated;

create function public.transfer_ownership(organization_id uuid, user_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.transfer_ownership(organization_id, user_id)
$$;
comment on function public.transfer_ownership(uuid, uuid) is
'Hands the caller''s ownership to another member. Needs organization.transfer and aal2.';
grant execute on function public.transfer_ownership(uuid, uuid) to authenticated;

-- Custom roles ------------------------------------------------------------------------------
create function private.put_role_permissions(
    p_organization_id uuid, p_key text, p_permissions text[]
)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unknown text;
begin
    select pg_catalog.min(t.permission)
    into v_unknown
    from pg_catalog.unnest(p_permissions) as t (permission)
    where not exists (select 1 from public.permissions as p where p.key = t.permission);
    if v_unknown is not null then
        perform private.fail(
            422,
            'permission.unknown',
            pg_catalog.format('there is no permission %s', v_unknown),
            'read the table permissions for the list'
        );
    end if;
    delete from public.role_permissions as rp
    where rp.organization_id = p_organization_id and rp.role = p_key;
    insert into public.role_permissions (organization_id, role, permission)
    select distinct
        p_organization_id,
        p_key,
        t.permission
    from pg_catalog.unnest(p_permissions) as t (permission);
    -- Checked on the finished role: it may hold nothing that its maker does not.
    perform private.require_grantable(p_organization_id, p_key);
end;
$$;
comment on function private.put_role_permissions(uuid, text, text[]) is
'Replaces what a custom role may do, within what the caller may do. Internal.';

create function private.require_custom_role(p_organization_id uuid, p_key text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rank bigint;
begin
    select r.rank
    into v_rank
    from public.roles as r
    where r.organization_id = p_organization_id and r.key = p_key and not r.builtin;
    if v_rank is null then
        perform private.fail(
            404,
            'role.unknown',
            pg_catalog.format('there is no custom role %s in this organization', p_key),
            'built-in roles cannot be changed; list the roles of the organization'
        );
    end if;
    perform private.require_outranks(p_organization_id, v_rank);
end;
$$;
comment on function private.require_custom_role(uuid, text) is
'Refuses a role that is built-in, unknown or not below the caller. Internal.';

create function private.create_role(
    p_organization_id uuid, p_key text, p_name text, p_rank bigint, p_permissions text[]
)
returns setof public.roles
language plpgsql
volatile
-- Clients cannot write roles.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_locked(p_organization_id, 'roles.write');
    perform private.require_outranks(p_organization_id, p_rank);
    begin
        insert into public.roles (organization_id, key, name, rank)
        values (p_organization_id, p_key, p_name, p_rank);
    exception when unique_violation then
        perform private.fail(
            409, 'role.exists', pg_catalog.format('the role %s exists', p_key), 'choose another key'
        );
    end;
    perform private.put_role_permissions(p_organization_id, p_key, p_permissions);
    return query
        select r.*
        from public.roles as r
        where r.organization_id = p_organization_id and r.key = p_key;
end;
$$;
comment on function private.create_role(uuid, text, text, bigint, text[]) is
'Creates a custom role below the caller''s rank and within the caller''s permissions.';
grant execute on function private.create_role(uuid, text, text, bigint, text[])
to authenticated;

create function public.create_role(
    organization_id uuid, key text, name text, rank bigint, permissions text[]
)
returns setof public.roles
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select * from private.create_role(organization_id, key, name, rank, permissions)
$$;
comment on function public.create_role(uuid, text, text, bigint, text[]) is
'Creates a custom role. Needs roles.write; rank below and permissions within one''s own.';
grant execute on function public.create_role(uuid, text, text, bigint, text[]) to authenticated;

create function private.update_role(
    p_organization_id uuid, p_key text, p_name text, p_rank bigint, p_permissions text[]
)
returns setof public.roles
language plpgsql
volatile
-- Clients cannot write roles.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_locked(p_organization_id, 'roles.write');
    perform private.require_custom_role(p_organization_id, p_key);
    if p_rank is not null then
        perform private.require_outranks(p_organization_id, p_rank);
    end if;
    update public.roles as r
    set name = coalesce(p_name, r.name), rank = coalesce(p_rank, r.rank)
    where r.organization_id = p_organization_id and r.key = p_key;
    if p_permissions is not null then
        perform private.put_role_permissions(p_organization_id, p_key, p_permissions);
    end if;
    return query
        select r.*
        from public.roles as r
        where r.organization_id = p_organization_id and r.key = p_key;
end;
$$;
comment on function private.update_role(uuid, text, text, bigint, text[]) is
'Changes a custom role; null keeps what is there.';
grant execute on function private.update_role(uuid, text, text, bigint, text[])
to authenticated;

create function public.update_role(
    organization_id uuid,
    key text,
    name text default null,
    rank bigint default null,
    permissions text[] default null
)
returns setof public.roles
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select * from private.update_role(organization_id, key, name, rank, permissions)
$$;
comment on function public.update_role(uuid, text, text, bigint, text[]) is
'Changes a custom role; what is left out stays. Needs roles.write.';
grant execute on function public.update_role(uuid, text, text, bigint, text[]) to authenticated;

create function private.delete_role(p_organization_id uuid, p_key text)
returns void
language plpgsql
volatile
-- Clients cannot write roles.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_locked(p_organization_id, 'roles.write');
    perform private.require_custom_role(p_organization_id, p_key);
    if exists (
        select 1
        from public.memberships as m
        where m.organization_id = p_organization_id and m.role = p_key
    ) then
        perform private.fail(
            409,
            'role.in_use',
            pg_catalog.format('members still hold the role %s', p_key),
            'give them another role first'
        );
    end if;
    delete from public.roles as r
    where r.organization_id = p_organization_id and r.key = p_key;
end;
$$;
comment on function private.delete_role(uuid, text) is
'Deletes a custom role that no member holds; open invitations to it go with it.';
grant execute on function private.delete_role(uuid, text) to authenticated;

create function public.delete_role(organization_id uuid, key text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.delete_role(organization_id, key)
$$;
comment on function public.delete_role(uuid, text) is
'Deletes a custom role that no member holds. Needs roles.write.';
grant execute on function public.delete_role(uuid, text) to authenticated;

-- Teams -------------------------------------------------------------------------------------
create function private.require_team(p_organization_id uuid, p_team_id uuid)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select 1
        from public.teams as t
        where t.organization_id = p_organization_id and t.id = p_team_id
    ) then
        return;
    end if;
    perform private.fail(
        404, 'team.unknown', 'there is no such team in this organization', 'list the teams'
    );
end;
$$;
comment on function private.require_team(uuid, uuid) is 'Refuses an unknown team. Internal.';

create function private.create_team(p_organization_id uuid, p_name text)
returns setof public.teams
language plpgsql
volatile
-- Clients cannot write teams.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id uuid;
begin
    perform private.require(p_organization_id, 'teams.write');
    begin
        insert into public.teams (organization_id, name)
        values (p_organization_id, p_name)
        returning id into v_id;
    exception when unique_violation then
        perform private.fail(
            409, 'team.exists', 'a team with this name exists', 'choose another name'
        );
    end;
    return query
        select t.*
        from public.teams as t
        where t.organization_id = p_organization_id and t.id = v_id;
end;
$$;
comment on function private.create_team(uuid, text) is 'Creates a team.';
grant execute on function private.create_team(uuid, text) to authenticated;

create function public.create_team(organization_id uuid, name text)
returns setof public.teams
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select * from private.create_team(organization_id, name)
$$;
comment on function public.create_team(uuid, text) is 'Creates a team. Needs teams.write.';
grant execute on function public.create_team(uuid, text) to authenticated;

create function private.rename_team(p_organization_id uuid, p_team_id uuid, p_name text)
returns void
language plpgsql
volatile
-- Clients cannot write teams.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require(p_organization_id, 'teams.write');
    perform private.require_team(p_organization_id, p_team_id);
    begin
        update public.teams as t
        set name = p_name
        where t.organization_id = p_organization_id and t.id = p_team_id;
    exception when unique_violation then
        perform private.fail(
            409, 'team.exists', 'a team with this name exists', 'choose another name'
        );
    end;
end;
$$;
comment on function private.rename_team(uuid, uuid, text) is 'Renames a team.';
grant execute on function private.rename_team(uuid, uuid, text) to authenticated;

create function public.rename_team(organization_id uuid, team_id uuid, name text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.rename_team(organization_id, team_id, name)
$$;
comment on function public.rename_team(uuid, uuid, text) is 'Renames a team. Needs teams.write.';
grant execute on function public.rename_team(uuid, uuid, text) to authenticated;

create function private.delete_team(p_organization_id uuid, p_team_id uuid)
returns void
language plpgsql
volatile
-- Clients cannot write teams.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require(p_organization_id, 'teams.write');
    perform private.require_team(p_organization_id, p_team_id);
    delete from public.teams as t
    where t.organization_id = p_organization_id and t.id = p_team_id;
end;
$$;
comment on function private.delete_team(uuid, uuid) is
'Deletes a team; its records stay with their owners.';
grant execute on function private.delete_team(uuid, uuid) to authenticated;

create function public.delete_team(organization_id uuid, team_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.delete_team(organization_id, team_id)
$$;
comment on function public.delete_team(uuid, uuid) is 'Deletes a team. Needs teams.write.';
grant execute on function public.delete_team(uuid, uuid) to authenticated;

create function private.add_team_member(
    p_organization_id uuid, p_team_id uuid, p_user_id uuid
)
returns void
language plpgsql
volatile
-- Clients cannot write team members.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require(p_organization_id, 'teams.write');
    perform private.require_team(p_organization_id, p_team_id);
    perform private.member_rank(p_organization_id, p_user_id);
    insert into public.team_members (organization_id, team_id, user_id)
    values (p_organization_id, p_team_id, p_user_id)
    on conflict do nothing;
end;
$$;
comment on function private.add_team_member(uuid, uuid, uuid) is 'Puts a member into a team.';
grant execute on function private.add_team_member(uuid, uuid, uuid) to authenticated;

create function public.add_team_member(organization_id uuid, team_id uuid, user_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.add_team_member(organization_id, team_id, user_id)
$$;
comment on function public.add_team_member(uuid, uuid, uuid) is
'Puts a member into a team. Needs teams.write. Repeating it changes nothing.';
grant execute on function public.add_team_member(uuid, uuid, uuid) to authenticated;

create function private.remove_team_member(
    p_organization_id uuid, p_team_id uuid, p_user_id uuid
)
returns void
language plpgsql
volatile
-- Clients cannot write team members.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require(p_organization_id, 'teams.write');
    perform private.require_team(p_organization_id, p_team_id);
    delete from public.team_members as t
    where
        t.organization_id = p_organization_id
        and t.team_id = p_team_id
        and t.user_id = p_user_id;
end;
$$;
comment on function private.remove_team_member(uuid, uuid, uuid) is
'Takes a member out of a team.';
grant execute on function private.remove_team_member(uuid, uuid, uuid) to authenticated;

create function public.remove_team_member(organization_id uuid, team_id uuid, user_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.remove_team_member(organization_id, team_id, user_id)
$$;
comment on function public.remove_team_member(uuid, uuid, uuid) is
'Takes a member out of a team. Needs teams.write. Repeating it changes nothing.';
grant execute on function public.remove_team_member(uuid, uuid, uuid) to authenticated;
