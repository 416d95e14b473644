set local lock_timeout = '4s';

-- Tags --------------------------------------------------------------------------------------
create table public.tags (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    name text not null,
    color text not null default '#64748b',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint tags_pkey primary key (organization_id, id),
    constraint tags_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint tags_name_key unique (organization_id, name),
    constraint tags_name_check check (
        char_length(name) between 1 and 60 and name = btrim(name)
    ),
    constraint tags_color_check check (color ~ '^#[0-9a-f]{6}$')
);
comment on table public.tags is 'A label for contacts, companies and deals.';
call private.lock_down('public.tags');

create trigger tg_tags__immutable_keys
before update on public.tags
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
)
execute function private.tg_immutable_keys();

create trigger tg_tags__touch_updated_at
before update on public.tags
for each row
execute function private.tg_touch_updated_at();

create function private.tg_inherit_contact_scope()
returns trigger
language plpgsql
-- Reads the contact past its policies; the child's own WITH CHECK then judges the result.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- FOR SHARE waits for a change of owner under way; the foreign key's own lock would not.
    select c.owner_id, c.team_id into new.owner_id, new.team_id
    from public.contacts as c
    where c.organization_id = new.organization_id and c.id = new.contact_id
    for share skip locked;
    if not found and private.may_wait(new.organization_id) then
        select c.owner_id, c.team_id into new.owner_id, new.team_id
        from public.contacts as c
        where c.organization_id = new.organization_id and c.id = new.contact_id
        for share;
    end if;
    return new;
end;
$$;
comment on function private.tg_inherit_contact_scope() is
'Gives a child of a contact the owner and team of the contact, whatever the client sent.';

create function private.tg_inherit_company_scope()
returns trigger
language plpgsql
-- Reads the company past its policies; the child's own WITH CHECK then judges the result.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- FOR SHARE waits for a change of owner under way; the foreign key's own lock would not.
    select c.owner_id, c.team_id into new.owner_id, new.team_id
    from public.companies as c
    where c.organization_id = new.organization_id and c.id = new.company_id
    for share skip locked;
    if not found and private.may_wait(new.organization_id) then
        select c.owner_id, c.team_id into new.owner_id, new.team_id
        from public.companies as c
        where c.organization_id = new.organization_id and c.id = new.company_id
        for share;
    end if;
    return new;
end;
$$;
comment on function private.tg_inherit_company_scope() is
'Gives a child of a company the owner and team of the company, whatever the client sent.';

create table public.contact_tags (
    organization_id uuid not null,
    contact_id uuid not null,
    tag_id uuid not null,
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    owner_id uuid,
    team_id uuid,
    constraint contact_tags_pkey primary key (organization_id, contact_id, tag_id),
    constraint contact_tags_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint contact_tags_contact_fkey
    foreign key (organization_id, contact_id)
    references public.contacts (organization_id, id) on delete cascade,
    constraint contact_tags_tag_fkey
    foreign key (organization_id, tag_id)
    references public.tags (organization_id, id) on delete cascade
);
comment on table public.contact_tags is 'Which contact carries which tag.';
comment on column public.contact_tags.owner_id is 'Copied from the contact.';
comment on column public.contact_tags.team_id is 'Copied from the contact.';
create index contact_tags_tag_idx
on public.contact_tags (organization_id, tag_id, contact_id) include (owner_id, team_id);
call private.lock_down('public.contact_tags');

create trigger tg_contact_tags__immutable_keys
before update on public.contact_tags
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.tag_id is distinct from new.tag_id
)
execute function private.tg_immutable_keys();

create trigger tg_contact_tags__inherit_scope
before insert or update of contact_id on public.contact_tags
for each row
execute function private.tg_inherit_contact_scope();

create table public.company_tags (
    organization_id uuid not null,
    company_id uuid not null,
    tag_id uuid not null,
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    owner_id uuid,
    team_id uuid,
    constraint company_tags_pkey primary key (organization_id, company_id, tag_id),
    constraint company_tags_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint company_tags_company_fkey
    foreign key (organization_id, company_id)
    references public.companies (organization_id, id) on delete cascade,
    constraint company_tags_tag_fkey
    foreign key (organization_id, tag_id)
    references public.tags (organization_id, id) on delete cascade
);
comment on table public.company_tags is 'Which company carries which tag.';
comment on column public.company_tags.owner_id is 'Copied from the company.';
comment on column public.company_tags.team_id is 'Copied from the company.';
create index company_tags_tag_idx
on public.company_tags (organization_id, tag_id, company_id) include (owner_id, team_id);
call private.lock_down('public.company_tags');

create trigger tg_company_tags__immutable_keys
before update on public.company_tags
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.tag_id is distinct from new.tag_id
)
execute function private.tg_immutable_keys();

create trigger tg_company_tags__inherit_scope
before insert or update of company_id on public.company_tags
for each row
execute function private.tg_inherit_company_scope();

create table public.deal_tags (
    organization_id uuid not null,
    deal_id uuid not null,
    tag_id uuid not null,
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    owner_id uuid,
    team_id uuid,
    constraint deal_tags_pkey primary key (organization_id, deal_id, tag_id),
    constraint deal_tags_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint deal_tags_deal_fkey
    foreign key (organization_id, deal_id)
    references public.deals (organization_id, id) on delete cascade,
    constraint deal_tags_tag_fkey
    foreign key (organization_id, tag_id)
    references public.tags (organization_id, id) on delete cascade
);
comment on table public.deal_tags is 'Which deal carries which tag.';
comment on column public.deal_tags.owner_id is 'Copied from the deal.';
comment on column public.deal_tags.team_id is 'Copied from the deal.';
create index deal_tags_tag_idx
on public.deal_tags (organization_id, tag_id, deal_id) include (owner_id, team_id);
call private.lock_down('public.deal_tags');

create trigger tg_deal_tags__immutable_keys
before update on public.deal_tags
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.tag_id is distinct from new.tag_id
)
execute function private.tg_immutable_keys();

create trigger tg_deal_tags__inherit_scope
before insert or update of deal_id on public.deal_tags
for each row
execute function private.tg_inherit_deal_scope();

-- A parent that changes hands takes its children along --------------------------------------
create function private.require_hand_over(
    p_organization_id uuid,
    p_owner_id uuid,
    p_new_owner_id uuid,
    p_team_id uuid,
    p_new_team_id uuid
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if pg_catalog.current_setting('transaction_isolation') = 'read committed' then
        return;
    end if;
    -- A child that came since an older snapshot would stay with the former owner or team. Where a
    -- member or a team goes itself, there is nobody with whom.
    if
        p_new_owner_id is distinct from p_owner_id
        and (p_new_owner_id is not null or exists (
            select 1
            from public.memberships as m
            where m.organization_id = p_organization_id and m.user_id = p_owner_id
        ))
        or p_new_team_id is distinct from p_team_id
        and (p_new_team_id is not null or exists (
            select 1
            from public.teams as t
            where t.organization_id = p_organization_id and t.id = p_team_id
        ))
    then
        perform private.require_read_committed('a record changes hands');
    end if;
end;
$$;
comment on function private.require_hand_over(uuid, uuid, uuid, uuid, uuid) is
'Refuses a change of owner or team that could not see all children. Internal.';

create function private.tg_contacts__share_scope()
returns trigger
language plpgsql
-- Clients may not change the copies.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_hand_over(
        new.organization_id, old.owner_id, new.owner_id, old.team_id, new.team_id
    );
    update public.contact_tags as k
    set owner_id = new.owner_id, team_id = new.team_id
    where k.organization_id = new.organization_id and k.contact_id = new.id;
    return null;
end;
$$;
comment on function private.tg_contacts__share_scope() is
'Gives the children of a contact its new owner and team.';

create trigger tg_contacts__share_scope
after update on public.contacts
for each row
when (
    old.owner_id is distinct from new.owner_id
    or old.team_id is distinct from new.team_id
)
execute function private.tg_contacts__share_scope();

create function private.tg_companies__share_scope()
returns trigger
language plpgsql
-- Clients may not change the copies.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_hand_over(
        new.organization_id, old.owner_id, new.owner_id, old.team_id, new.team_id
    );
    update public.company_tags as k
    set owner_id = new.owner_id, team_id = new.team_id
    where k.organization_id = new.organization_id and k.company_id = new.id;
    return null;
end;
$$;
comment on function private.tg_companies__share_scope() is
'Gives the children of a company its new owner and team.';

create trigger tg_companies__share_scope
after update on public.companies
for each row
when (
    old.owner_id is distinct from new.owner_id
    or old.team_id is distinct from new.team_id
)
execute function private.tg_companies__share_scope();

create function private.tg_deals__share_scope()
returns trigger
language plpgsql
-- Clients may not change the copies.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_hand_over(
        new.organization_id, old.owner_id, new.owner_id, old.team_id, new.team_id
    );
    update public.deal_tags as k
    set owner_id = new.owner_id, team_id = new.team_id
    where k.organization_id = new.organization_id and k.deal_id = new.id;
    update public.deal_contacts as k
    set owner_id = new.owner_id, team_id = new.team_id
    where k.organization_id = new.organization_id and k.deal_id = new.id;
    update public.deal_stage_history as k
    set owner_id = new.owner_id, team_id = new.team_id
    where k.organization_id = new.organization_id and k.deal_id = new.id;
    return null;
end;
$$;
comment on function private.tg_deals__share_scope() is
'Gives the children of a deal its new owner and team.';

create trigger tg_deals__share_scope
after update on public.deals
for each row
when (
    old.owner_id is distinct from new.owner_id
    or old.team_id is distinct from new.team_id
)
execute function private.tg_deals__share_scope();

create function private.tg_activities__share_scope()
returns trigger
language plpgsql
-- Clients may not change the copies.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_hand_over(
        new.organization_id, old.owner_id, new.owner_id, old.team_id, new.team_id
    );
    update public.call_transcripts as k
    set owner_id = new.owner_id, team_id = new.team_id
    where k.organization_id = new.organization_id and k.activity_id = new.id;
    return null;
end;
$$;
comment on function private.tg_activities__share_scope() is
'Gives the children of a activity its new owner and team.';

create trigger tg_activities__share_scope
after update on public.activities
for each row
when (
    old.owner_id is distinct from new.owner_id
    or old.team_id is distinct from new.team_id
)
execute function private.tg_activities__share_scope();

create function private.tg_conversations__share_scope()
returns trigger
language plpgsql
-- Clients may not change the copies.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_hand_over(
        new.organization_id, old.owner_id, new.owner_id, old.team_id, new.team_id
    );
    update public.messages as k
    set owner_id = new.owner_id, team_id = new.team_id
    where k.organization_id = new.organization_id and k.conversation_id = new.id;
    return null;
end;
$$;
comment on function private.tg_conversations__share_scope() is
'Gives the children of a conversation its new owner and team.';

create trigger tg_conversations__share_scope
after update on public.conversations
for each row
when (
    old.owner_id is distinct from new.owner_id
    or old.team_id is distinct from new.team_id
)
execute function private.tg_conversations__share_scope();

-- Custom fields -----------------------------------------------------------------------------
create table public.custom_field_definitions (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    object text not null,
    key text not null,
    label text not null,
    type text not null,
    required boolean not null default false,
    options jsonb,
    position bigint not null default 0,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint custom_field_definitions_pkey primary key (organization_id, id),
    constraint custom_field_definitions_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint custom_field_definitions_key_key unique (organization_id, object, key),
    constraint custom_field_definitions_object_check check (
        object in ('company', 'contact', 'deal', 'activity')
    ),
    constraint custom_field_definitions_key_check check (key ~ '^[a-z][a-z0-9_]{0,39}$'),
    constraint custom_field_definitions_label_check check (
        char_length(label) between 1 and 80 and label = btrim(label)
    ),
    constraint custom_field_definitions_type_check check (
        type in (
            'text', 'number', 'boolean', 'date', 'url', 'email', 'select', 'multi_select'
        )
    ),
    -- A list of at most 200 short texts, and only where there is something to choose.
    constraint custom_field_definitions_options_check check (
        case
            when type in ('select', 'multi_select')
                then
                    coalesce(jsonb_typeof(options) = 'array', false)
                    and jsonb_array_length(options) between 1 and 200
                    and octet_length(options::text) <= 16384
                    and not jsonb_path_exists(options, 'strict $[*] ? (@.type() != "string")')
            else options is null
        end
    ),
    constraint custom_field_definitions_position_check check (position between 0 and 10000)
);
comment on table public.custom_field_definitions is
'Which custom fields companies, contacts, deals and activities have in an organization.';
comment on column public.custom_field_definitions.key is
'The name inside custom_fields. Fixed, like object and type, once the field exists.';
comment on column public.custom_field_definitions.options is
'For select and multi_select: the values to choose from, a JSON array of texts.';
comment on column public.custom_field_definitions.archived_at is
'Since when the field takes no new values. Values that exist stay.';
create index custom_field_definitions_list_idx
on public.custom_field_definitions (organization_id, object, position, id);
call private.lock_down('public.custom_field_definitions');

create trigger tg_custom_field_definitions__immutable_keys
before update on public.custom_field_definitions
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
    or old.object is distinct from new.object
    or old.key is distinct from new.key
    or old.type is distinct from new.type
)
execute function private.tg_immutable_keys();

create trigger tg_custom_field_definitions__touch_updated_at
before update on public.custom_field_definitions
for each row
execute function private.tg_touch_updated_at();
