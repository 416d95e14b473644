set local lock_timeout = '4s';

-- Pipelines ---------------------------------------------------------------------------------
create table public.pipelines (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    name text not null,
    position bigint not null default 0,
    is_default boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint pipelines_pkey primary key (organization_id, id),
    constraint pipelines_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint pipelines_name_key unique (organization_id, name),
    constraint pipelines_name_check check (
        char_length(name) between 1 and 80 and name = btrim(name)
    ),
    constraint pipelines_position_check check (position between 0 and 10000)
);
comment on table public.pipelines is 'A sequence of stages that deals go through.';
comment on column public.pipelines.is_default is 'Where deals go that name no pipeline.';
create unique index pipelines_default_key on public.pipelines (organization_id)
where is_default;
call private.lock_down('public.pipelines');

create trigger tg_pipelines__immutable_keys
before update on public.pipelines
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
)
execute function private.tg_immutable_keys();

create trigger tg_pipelines__touch_updated_at
before update on public.pipelines
for each row
execute function private.tg_touch_updated_at();

create table public.pipeline_stages (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    pipeline_id uuid not null,
    name text not null,
    position bigint not null default 0,
    kind text not null default 'open',
    probability bigint not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint pipeline_stages_pkey primary key (organization_id, id),
    constraint pipeline_stages_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint pipeline_stages_pipeline_fkey
    foreign key (organization_id, pipeline_id)
    references public.pipelines (organization_id, id) on delete cascade,
    -- What deals refer to, so that a deal's stage always belongs to its pipeline.
    constraint pipeline_stages_pipeline_id_id_key unique (organization_id, pipeline_id, id),
    constraint pipeline_stages_name_key unique (organization_id, pipeline_id, name),
    constraint pipeline_stages_name_check check (
        char_length(name) between 1 and 80 and name = btrim(name)
    ),
    constraint pipeline_stages_position_check check (position between 0 and 10000),
    constraint pipeline_stages_kind_check check (kind in ('open', 'won', 'lost')),
    constraint pipeline_stages_probability_check check (probability between 0 and 100)
);
comment on table public.pipeline_stages is 'A step of a pipeline.';
comment on column public.pipeline_stages.kind is
'What being here means for a deal: open, won or lost. Fixed once the stage exists.';
comment on column public.pipeline_stages.probability is 'Chance of winning, in per cent.';
call private.lock_down('public.pipeline_stages');

create trigger tg_pipeline_stages__immutable_keys
before update on public.pipeline_stages
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
    or old.pipeline_id is distinct from new.pipeline_id
)
execute function private.tg_immutable_keys();

create trigger tg_pipeline_stages__touch_updated_at
before update on public.pipeline_stages
for each row
execute function private.tg_touch_updated_at();

-- Deals -------------------------------------------------------------------------------------
create table public.deals (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    pipeline_id uuid not null,
    stage_id uuid not null,
    company_id uuid,
    name text not null,
    status text not null default 'open',
    amount_minor bigint not null default 0,
    currency text not null,
    expected_close_on date,
    stage_entered_at timestamptz not null default now(),
    closed_at timestamptz,
    lost_reason text,
    description text,
    custom_fields jsonb not null default '{}',
    owner_id uuid default auth.uid(),
    team_id uuid,
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    constraint deals_pkey primary key (organization_id, id),
    constraint deals_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint deals_stage_fkey
    foreign key (organization_id, pipeline_id, stage_id)
    references public.pipeline_stages (organization_id, pipeline_id, id) on delete restrict,
    constraint deals_pipeline_fkey
    foreign key (organization_id, pipeline_id)
    references public.pipelines (organization_id, id) on delete restrict,
    constraint deals_company_fkey
    foreign key (organization_id, company_id)
    references public.companies (organization_id, id) on delete set null (company_id),
    constraint deals_owner_fkey
    foreign key (organization_id, owner_id)
    references public.memberships (organization_id, user_id) on delete set null (owner_id),
    constraint deals_team_fkey
    foreign key (organization_id, team_id)
    references public.teams (organization_id, id) on delete set null (team_id),
    constraint deals_name_check check (
        char_length(name) between 1 and 200 and name = btrim(name)
    ),
    constraint deals_status_check check (status in ('open', 'won', 'lost')),
    -- What JavaScript can still count exactly.
    constraint deals_amount_minor_check check (amount_minor between 0 and 9007199254740991),
    constraint deals_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint deals_closed_at_check check ((status = 'open') = (closed_at is null)),
    constraint deals_lost_reason_check check (
        lost_reason is null or (char_length(lost_reason) between 1 and 500 and status = 'lost')
    ),
    constraint deals_description_check check (char_length(description) <= 10000),
    constraint deals_custom_fields_check check (
        jsonb_typeof(custom_fields) = 'object' and octet_length(custom_fields::text) <= 16384
    )
);
comment on table public.deals is 'A sale in the making.';
comment on column public.deals.status is 'Follows the kind of the stage; kept by the database.';
comment on column public.deals.amount_minor is 'In the smallest unit of the currency (cents).';
comment on column public.deals.currency is 'ISO 4217; the organization''s when left out.';
comment on column public.deals.stage_entered_at is 'Since when the deal is in its stage.';
comment on column public.deals.closed_at is 'When it was won or lost; kept by the database.';
comment on column public.deals.custom_fields is
'Values by field key, checked against custom_field_definitions.';
comment on column public.deals.owner_id is 'The member responsible; the `_own` permissions.';
comment on column public.deals.team_id is 'The team responsible; the `_team` permissions.';
comment on column public.deals.deleted_at is
'In the bin since then. Set and cleared only by soft_delete() and restore().';
create index deals_owner_idx
on public.deals (organization_id, owner_id, created_at desc, id)
where owner_id is not null;
create index deals_team_idx
on public.deals (organization_id, team_id, created_at desc, id)
where team_id is not null;
create index deals_company_idx
on public.deals (organization_id, company_id, created_at desc, id)
where company_id is not null;
create index deals_status_idx
on public.deals (organization_id, status, created_at desc, id) include (owner_id, team_id)
where deleted_at is null;
-- The board, column by column. Not partial: it also serves the foreign keys to the stages.
create index deals_board_idx
on public.deals (organization_id, pipeline_id, stage_id, stage_entered_at desc, id)
include (owner_id, team_id, deleted_at);
create index deals_timeline_idx
on public.deals (organization_id, created_at desc, id) include (owner_id, team_id)
where deleted_at is null;
call private.lock_down('public.deals');

create trigger tg_deals__immutable_keys
before update on public.deals
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
)
execute function private.tg_immutable_keys();

create trigger tg_deals__touch_updated_at
before update on public.deals
for each row
execute function private.tg_touch_updated_at();

create function private.tg_deals__apply_stage()
returns trigger
language plpgsql
-- Reads stages and the organization's currency, whatever the caller may see of them. It raises
-- nothing: it runs before WITH CHECK, and an error here would tell of other tenants' stages.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_kind text;
    v_pipeline_id uuid;
begin
    if tg_op = 'INSERT' then
        if new.currency is null then
            select o.currency into new.currency
            from public.organizations as o
            where o.id = new.organization_id;
        end if;
        if new.pipeline_id is null and new.stage_id is null then
            select p.id into new.pipeline_id
            from public.pipelines as p
            where p.organization_id = new.organization_id and p.is_default;
        end if;
    elsif old.pipeline_id <> new.pipeline_id and old.stage_id = new.stage_id then
        new.stage_id := null;
    elsif old.pipeline_id = new.pipeline_id and old.stage_id <> new.stage_id then
        new.pipeline_id := null;
    end if;
    if new.stage_id is null then
        select s.id into new.stage_id
        from public.pipeline_stages as s
        where s.organization_id = new.organization_id and s.pipeline_id = new.pipeline_id
        order by s.position, s.id
        limit 1;
    end if;

    select s.kind, s.pipeline_id into v_kind, v_pipeline_id
    from public.pipeline_stages as s
    where s.organization_id = new.organization_id and s.id = new.stage_id;
    if not found then
        -- The foreign key refuses it, after the policies had their say.
        return new;
    end if;
    new.pipeline_id := coalesce(new.pipeline_id, v_pipeline_id);
    new.status := v_kind;
    if v_kind = 'open' then
        new.closed_at := null;
    elsif tg_op = 'INSERT' then
        new.closed_at := coalesce(new.closed_at, pg_catalog.now());
    elsif old.status <> v_kind then
        new.closed_at := pg_catalog.now();
    end if;
    if v_kind <> 'lost' then
        new.lost_reason := null;
    end if;
    if tg_op = 'UPDATE' and old.stage_id <> new.stage_id then
        new.stage_entered_at := pg_catalog.now();
    end if;
    return new;
end;
$$;
comment on function private.tg_deals__apply_stage() is
'Fills in what a deal leaves out, and makes status and closing date follow the stage.';

create trigger tg_deals__apply_stage
before insert or update of pipeline_id, stage_id, status, closed_at, lost_reason on public.deals
for each row
execute function private.tg_deals__apply_stage();

-- Children of a deal take their owner and team from it --------------------------------------
-- A child is visible to exactly those who see its parent. Carrying the parent's owner and team
-- lets its policies have the same shape and cost as the parent's, without a look-up for each row.
create function private.may_wait(p_organization_id uuid)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Waiting would tell a stranger what goes on there, before the policies refuse.
    return pg_catalog.current_setting('role') not in ('anon', 'authenticated')
        or p_organization_id = any(
            array(
                select private.org_ids(variadic array(select p.key from public.permissions as p))
            )
        );
end;
$$;
comment on function private.may_wait(uuid) is
'Whether the caller may do anything at all in an organization, or asks no policy. Internal.';

create function private.tg_inherit_deal_scope()
returns trigger
language plpgsql
-- Reads the deal past its policies; what it finds is then judged by the child's own WITH CHECK.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- FOR SHARE waits for a change of owner under way; the foreign key's own lock would not.
    select d.owner_id, d.team_id into new.owner_id, new.team_id
    from public.deals as d
    where d.organization_id = new.organization_id and d.id = new.deal_id
    for share skip locked;
    if not found and private.may_wait(new.organization_id) then
        select d.owner_id, d.team_id into new.owner_id, new.team_id
        from public.deals as d
        where d.organization_id = new.organization_id and d.id = new.deal_id
        for share;
    end if;
    return new;
end;
$$;
comment on function private.tg_inherit_deal_scope() is
'Gives a child of a deal the owner and team of the deal, whatever the client sent.';

create table public.deal_stage_history (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    deal_id uuid not null,
    from_stage_id uuid,
    to_stage_id uuid,
    status text not null,
    amount_minor bigint not null,
    currency text not null,
    seconds_in_stage bigint,
    moved_by uuid default auth.uid(),
    moved_at timestamptz not null default now(),
    owner_id uuid,
    team_id uuid,
    constraint deal_stage_history_pkey primary key (organization_id, id),
    constraint deal_stage_history_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint deal_stage_history_deal_fkey
    foreign key (organization_id, deal_id)
    references public.deals (organization_id, id) on delete cascade,
    constraint deal_stage_history_from_stage_fkey
    foreign key (organization_id, from_stage_id)
    references public.pipeline_stages (organization_id, id) on delete set null (from_stage_id),
    constraint deal_stage_history_to_stage_fkey
    foreign key (organization_id, to_stage_id)
    references public.pipeline_stages (organization_id, id) on delete set null (to_stage_id),
    constraint deal_stage_history_status_check check (status in ('open', 'won', 'lost')),
    constraint deal_stage_history_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint deal_stage_history_seconds_in_stage_check check (seconds_in_stage >= 0)
);
comment on table public.deal_stage_history is
'Every stage a deal has been in. Written by the database alone.';
comment on column public.deal_stage_history.from_stage_id is 'Null for the first stage.';
comment on column public.deal_stage_history.seconds_in_stage is
'How long the deal had been in the stage it left.';
comment on column public.deal_stage_history.owner_id is 'Copied from the deal.';
comment on column public.deal_stage_history.team_id is 'Copied from the deal.';
create index deal_stage_history_deal_idx
on public.deal_stage_history (organization_id, deal_id, moved_at desc, id)
include (owner_id, team_id);
create index deal_stage_history_from_stage_idx
on public.deal_stage_history (organization_id, from_stage_id)
where from_stage_id is not null;
create index deal_stage_history_to_stage_idx
on public.deal_stage_history (organization_id, to_stage_id)
where to_stage_id is not null;
create index deal_stage_history_timeline_idx
on public.deal_stage_history (organization_id, moved_at desc, id) include (owner_id, team_id);
call private.lock_down('public.deal_stage_history');

create trigger tg_deal_stage_history__immutable_keys
before update on public.deal_stage_history
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
    or old.deal_id is distinct from new.deal_id
)
execute function private.tg_immutable_keys();

create trigger tg_deal_stage_history__inherit_scope
before insert on public.deal_stage_history
for each row
execute function private.tg_inherit_deal_scope();

create function private.tg_deals__record_first_stage()
returns trigger
language plpgsql
-- Clients may not write history themselves.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Once a statement: an import of ten thousand deals is one insert more, not ten thousand.
    insert into public.deal_stage_history (
        organization_id, deal_id, to_stage_id, status, amount_minor, currency, moved_at
    )
    select
        n.organization_id, n.id, n.stage_id, n.status, n.amount_minor, n.currency,
        n.stage_entered_at
    from new_rows as n;
    return null;
end;
$$;
comment on function private.tg_deals__record_first_stage() is
'Begins the stage history of new deals.';

create trigger tg_deals__record_first_stage
after insert on public.deals
referencing new table as new_rows
for each statement
execute function private.tg_deals__record_first_stage();

create function private.tg_deals__record_stage()
returns trigger
language plpgsql
-- Clients may not write history themselves.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into public.deal_stage_history (
        organization_id, deal_id, from_stage_id, to_stage_id, status, amount_minor, currency,
        seconds_in_stage, moved_at
    )
    values (
        new.organization_id,
        new.id,
        old.stage_id,
        new.stage_id,
        new.status,
        new.amount_minor,
        new.currency,
        greatest(0, extract(epoch from new.stage_entered_at - old.stage_entered_at)::bigint),
        new.stage_entered_at
    );
    return null;
end;
$$;
comment on function private.tg_deals__record_stage() is
'Writes a move of a deal into its stage history.';

create trigger tg_deals__record_stage
after update on public.deals
for each row
when (old.stage_id is distinct from new.stage_id)
execute function private.tg_deals__record_stage();

create table public.deal_contacts (
    organization_id uuid not null,
    deal_id uuid not null,
    contact_id uuid not null,
    role text not null default 'other',
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    owner_id uuid,
    team_id uuid,
    constraint deal_contacts_pkey primary key (organization_id, deal_id, contact_id),
    constraint deal_contacts_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint deal_contacts_deal_fkey
    foreign key (organization_id, deal_id)
    references public.deals (organization_id, id) on delete cascade,
    constraint deal_contacts_contact_fkey
    foreign key (organization_id, contact_id)
    references public.contacts (organization_id, id) on delete cascade,
    constraint deal_contacts_role_check check (
        role in ('decision_maker', 'champion', 'influencer', 'user', 'other')
    )
);
comment on table public.deal_contacts is 'Who takes part in a deal, and as what.';
comment on column public.deal_contacts.owner_id is 'Copied from the deal.';
comment on column public.deal_contacts.team_id is 'Copied from the deal.';
create index deal_contacts_contact_idx
on public.deal_contacts (organization_id, contact_id, deal_id) include (owner_id, team_id);
call private.lock_down('public.deal_contacts');

create trigger tg_deal_contacts__immutable_keys
before update on public.deal_contacts
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.deal_id is distinct from new.deal_id
)
execute function private.tg_immutable_keys();

create trigger tg_deal_contacts__inherit_scope
before insert on public.deal_contacts
for each row
execute function private.tg_inherit_deal_scope();
