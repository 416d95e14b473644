set local lock_timeout = '4s';

-- What the caller may reach -----------------------------------------------------------------
create type private.reach as (
    everything boolean,
    team_ids uuid [],
    owner_id uuid
);
comment on type private.reach is
'Which records of a kind the caller may use: all, those of some teams, those of one owner.';

create function private.require_reach(p_organization_id uuid, p_permission text)
returns private.reach
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_reach private.reach;
begin
    v_reach.everything := private.has_permission(p_organization_id, p_permission);
    v_reach.team_ids := '{}';
    if not v_reach.everything then
        if private.has_permission(p_organization_id, p_permission || '_team') then
            -- Of this organization: another may have a team of the same id.
            v_reach.team_ids := array(
                select t.team_id
                from public.team_members as t
                where t.organization_id = p_organization_id and t.user_id = auth.uid()
            );
        end if;
        if private.has_permission(p_organization_id, p_permission || '_own') then
            v_reach.owner_id := auth.uid();
        end if;
        if v_reach.owner_id is null and v_reach.team_ids = '{}' then
            perform private.require(p_organization_id, p_permission);
        end if;
    end if;
    return v_reach;
end;
$$;
comment on function private.require_reach(uuid, text) is
'How far a permission of the caller goes in one organization; refuses who has none of its forms.';

create function private.in_reach(p_reach private.reach, p_owner_id uuid, p_team_id uuid)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select
        p_reach.everything
        or coalesce(p_team_id = any(p_reach.team_ids), false)
        or coalesce(p_owner_id = p_reach.owner_id, false)
$$;
comment on function private.in_reach(private.reach, uuid, uuid) is
'Whether a record with this owner and team is within reach.';

create function private.record_table(p_object text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    case p_object
        when 'company' then return 'companies';
        when 'contact' then return 'contacts';
        when 'deal' then return 'deals';
        when 'activity' then return 'activities';
        when 'conversation' then return 'conversations';
        when 'file' then return 'files';
        else
            perform private.fail(
                422,
                'object.unknown',
                'there is no such kind of record',
                'one of company, contact, deal, activity, conversation, file'
            );
    end case;
    return null;
end;
$$;
comment on function private.record_table(text) is
'The table of a kind of record. Refuses everything else, so its result is safe to execute.';

-- A new organization can sell at once -------------------------------------------------------
create function private.provision_crm(p_organization_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_pipeline_id uuid;
begin
    if exists (
        select 1
        from public.pipelines as p
        where p.organization_id = p_organization_id
    ) then
        return;
    end if;
    insert into public.pipelines (organization_id, name, is_default)
    values (p_organization_id, 'Sales', true)
    returning id into v_pipeline_id;

    insert into public.pipeline_stages (
        organization_id, pipeline_id, name, position, kind, probability
    )
    values
    (p_organization_id, v_pipeline_id, 'New', 1, 'open', 10),
    (p_organization_id, v_pipeline_id, 'Qualified', 2, 'open', 30),
    (p_organization_id, v_pipeline_id, 'Offer sent', 3, 'open', 60),
    (p_organization_id, v_pipeline_id, 'Won', 4, 'won', 100),
    (p_organization_id, v_pipeline_id, 'Lost', 5, 'lost', 0);
end;
$$;
comment on function private.provision_crm(uuid) is
'Gives an organization without a pipeline its first one. Internal.';

-- Custom fields -----------------------------------------------------------------------------
create function private.custom_field_fits(p_type text, p_options jsonb, p_value jsonb)
returns boolean
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_text constant text := p_value #>> '{}';
begin
    case p_type
        when 'number' then
            return pg_catalog.jsonb_typeof(p_value) = 'number';
        when 'boolean' then
            return pg_catalog.jsonb_typeof(p_value) = 'boolean';
        when 'multi_select' then
            return
                pg_catalog.jsonb_typeof(p_value) = 'array'
                and not pg_catalog.jsonb_path_exists(
                    p_value, 'strict $[*] ? (@.type() != "string")'
                )
                and p_options @> p_value;
        else
            if pg_catalog.jsonb_typeof(p_value) <> 'string' then
                return false;
            end if;
    end case;
    case p_type
        when 'text' then
            return pg_catalog.char_length(v_text) <= 2000;
        when 'select' then
            return p_options ? v_text;
        when 'url' then
            return v_text ~ '^https?://[^[:space:]<>"]+$' and pg_catalog.char_length(v_text) <= 2048;
        when 'email' then
            return
                v_text ~ '^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:]]+$'
                and pg_catalog.char_length(v_text) <= 254;
        when 'date' then
            if v_text !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' then
                return false;
            end if;
            begin
                perform pg_catalog.make_date(
                    pg_catalog.split_part(v_text, '-', 1)::integer,
                    pg_catalog.split_part(v_text, '-', 2)::integer,
                    pg_catalog.split_part(v_text, '-', 3)::integer
                );
                return true;
            exception when datetime_field_overflow then
                return false;
            end;
        else
            return false;
    end case;
end;
$$;
comment on function private.custom_field_fits(text, jsonb, jsonb) is
'Whether a value is one that a custom field of this type can hold.';

create function private.tg_check_custom_fields()
returns trigger
language plpgsql
-- Reads the definitions, whatever the caller may see of them. It runs after the row, so WITH
-- CHECK has spoken before it can tell anything about another organization's fields.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_object constant text := tg_argv[0];
    v_old jsonb := '{}'::jsonb;
    v_problem record;
begin
    if tg_op = 'UPDATE' then
        v_old := old.custom_fields;
    end if;
    -- A value that does not change is not judged again: its field may be archived by now.
    select v.key, d.type, d.id is null as unknown, d.archived_at is not null as archived
    into v_problem
    from pg_catalog.jsonb_each(new.custom_fields) as v (key, value)
    left join public.custom_field_definitions as d
        on
            d.organization_id = new.organization_id
            and d.object = v_object
            and d.key = v.key
    where
        v.value is distinct from v_old -> v.key
        and v.value <> 'null'
        and (
            d.id is null
            or d.archived_at is not null
            or not private.custom_field_fits(d.type, d.options, v.value)
        )
    order by v.key
    limit 1;
    if found then
        perform private.fail(
            422,
            case
                when v_problem.unknown then 'custom_field.unknown'
                when v_problem.archived then 'custom_field.archived'
                else 'custom_field.invalid'
            end,
            case
                when v_problem.unknown
                    then pg_catalog.format('there is no custom field %s', v_problem.key)
                when v_problem.archived
                    then pg_catalog.format('the custom field %s is archived', v_problem.key)
                else
                    pg_catalog.format(
                        'the custom field %s needs a value of the type %s',
                        v_problem.key,
                        v_problem.type
                    )
            end,
            'custom_field_definitions lists the fields, their types and options'
        );
    end if;

    select d.key into v_problem
    from public.custom_field_definitions as d
    where
        d.organization_id = new.organization_id
        and d.object = v_object
        and d.required
        and d.archived_at is null
        and coalesce(new.custom_fields -> d.key, 'null') = 'null'
    order by d.position, d.key
    limit 1;
    if found then
        perform private.fail(
            422,
            'custom_field.required',
            pg_catalog.format('the custom field %s is required', v_problem.key),
            'give it a value'
        );
    end if;
    return null;
end;
$$;
comment on function private.tg_check_custom_fields() is
'Holds custom_fields to the definitions of the organization.';

-- A bulk load by the service role that sets no custom field is not asked for required ones.
create trigger tg_companies__check_custom_fields
after insert on public.companies
for each row
when (new.custom_fields <> '{}' or auth.uid() is not null)
execute function private.tg_check_custom_fields('company');

create trigger tg_companies__recheck_custom_fields
after update of custom_fields on public.companies
for each row
when (old.custom_fields is distinct from new.custom_fields)
execute function private.tg_check_custom_fields('company');

create trigger tg_contacts__check_custom_fields
after insert on public.contacts
for each row
when (new.custom_fields <> '{}' or auth.uid() is not null)
execute function private.tg_check_custom_fields('contact');

create trigger tg_contacts__recheck_custom_fields
after update of custom_fields on public.contacts
for each row
when (old.custom_fields is distinct from new.custom_fields)
execute function private.tg_check_custom_fields('contact');

create trigger tg_deals__check_custom_fields
after insert on public.deals
for each row
when (new.custom_fields <> '{}' or auth.uid() is not null)
execute function private.tg_check_custom_fields('deal');

create trigger tg_deals__recheck_custom_fields
after update of custom_fields on public.deals
for each row
when (old.custom_fields is distinct from new.custom_fields)
execute function private.tg_check_custom_fields('deal');

create trigger tg_activities__check_custom_fields
after insert on public.activities
for each row
when (new.custom_fields <> '{}' or auth.uid() is not null)
execute function private.tg_check_custom_fields('activity');

create trigger tg_activities__recheck_custom_fields
after update of custom_fields on public.activities
for each row
when (old.custom_fields is distinct from new.custom_fields)
execute function private.tg_check_custom_fields('activity');

-- The bin -----------------------------------------------------------------------------------
create function private.set_deleted(
    p_organization_id uuid,
    p_object text,
    p_ids uuid[],
    p_deleted boolean
)
returns bigint
language plpgsql
volatile
-- Clients have no UPDATE privilege on deleted_at: an update that hides a row would have to pass
-- the policies for reading and for writing, which say nothing about deleting.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_table constant text := private.record_table(p_object);
    v_reach constant private.reach := private.require_reach(
        p_organization_id, v_table || '.delete'
    );
    v_ids uuid[];
    v_changed bigint;
begin
    if coalesce(pg_catalog.cardinality(p_ids), 0) not between 1 and 1000 then
        perform private.fail(
            422, 'ids.count', 'this takes 1 to 1000 ids', 'send them in several requests'
        );
    end if;
    v_ids := array(select distinct i.id from pg_catalog.unnest(p_ids) as i (id));
    -- In key order, so that two of these cannot deadlock.
    execute pg_catalog.format(
        'select pg_catalog.count(*) from ('
        || ' select 1 from public.%I as r'
        || ' where r.organization_id = $1 and r.id = any($2)'
        || ' and private.in_reach($3, r.owner_id, r.team_id)'
        || ' order by r.id for update'
        || ') as f',
        v_table
    )
    into v_changed
    using p_organization_id, v_ids, v_reach;
    if v_changed <> pg_catalog.cardinality(v_ids) then
        perform private.fail(
            404,
            'record.not_found',
            'at least one of these does not exist or is not within your reach',
            'nothing was changed'
        );
    end if;
    execute pg_catalog.format(
        'update public.%I as r set deleted_at = case when $3 then pg_catalog.now() end'
        || ' where r.organization_id = $1 and r.id = any($2) and (r.deleted_at is null) = $3',
        v_table
    )
    using p_organization_id, v_ids, p_deleted;
    get diagnostics v_changed = row_count;
    return v_changed;
end;
$$;
comment on function private.set_deleted(uuid, text, uuid[], boolean) is
'Moves records into the bin or out of it, all or none, within the reach of the caller.';
grant execute on function private.set_deleted(uuid, text, uuid[], boolean) to authenticated;

create function public.soft_delete(organization_id uuid, object text, ids uuid[])
returns bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.set_deleted(
        soft_delete.organization_id, soft_delete.object, soft_delete.ids, true
    )
$$;
comment on function public.soft_delete(uuid, text, uuid[]) is
'Moves companies, contacts, deals, activities, conversations or files into the bin.

object: company, contact, deal, activity, conversation or file. Needs its delete permission.
All ids or none; says how many were not in the bin before.';
grant execute on function public.soft_delete(uuid, text, uuid[]) to authenticated;

create function public.restore(organization_id uuid, object text, ids uuid[])
returns bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.set_deleted(restore.organization_id, restore.object, restore.ids, false)
$$;
comment on function public.restore(uuid, text, uuid[]) is
'Takes records out of the bin again. The counterpart of soft_delete().';
grant execute on function public.restore(uuid, text, uuid[]) to authenticated;

-- Deals -------------------------------------------------------------------------------------
create function public.move_deal(
    organization_id uuid,
    deal_id uuid,
    stage_id uuid,
    lost_reason text default null
)
returns setof public.deals
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
-- The caller's own policies decide everything here.
#variable_conflict use_column
begin
    if not exists (
        select 1
        from public.pipeline_stages as s
        where s.organization_id = move_deal.organization_id and s.id = move_deal.stage_id
    ) then
        perform private.fail(
            404, 'stage.not_found', 'there is no such stage', 'pipeline_stages lists them'
        );
    end if;
    return query
        update public.deals as d
        set stage_id = move_deal.stage_id, lost_reason = move_deal.lost_reason
        where
            d.organization_id = move_deal.organization_id
            and d.id = move_deal.deal_id
            and d.deleted_at is null
        returning d.*;
    if not found then
        perform private.fail(
            404,
            'record.not_found',
            'there is no such deal within your reach',
            'it may be in the bin, or yours to see but not to change'
        );
    end if;
end;
$$;
comment on function public.move_deal(uuid, uuid, uuid, text) is
'Moves a deal to a stage, of its own or another pipeline, and returns it.

A won or lost stage closes the deal, an open one reopens it. Every move is kept in
deal_stage_history. lost_reason is kept only with a lost stage.';
grant execute on function public.move_deal(uuid, uuid, uuid, text) to authenticated;

-- Activities --------------------------------------------------------------------------------
create function public.complete_activity(
    organization_id uuid,
    activity_id uuid,
    outcome text default null
)
returns setof public.activities
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
-- The caller's own policies decide everything here.
#variable_conflict use_column
begin
    return query
        update public.activities as a
        set
            status = 'done',
            outcome = coalesce(complete_activity.outcome, a.outcome)
        where
            a.organization_id = complete_activity.organization_id
            and a.id = complete_activity.activity_id
            and a.deleted_at is null
        returning a.*;
    if not found then
        perform private.fail(
            404,
            'record.not_found',
            'there is no such activity within your reach',
            'it may be in the bin, or yours to see but not to change'
        );
    end if;
end;
$$;
comment on function public.complete_activity(uuid, uuid, text) is
'Marks a task, call or meeting as done, with what came of it, and returns it.';
grant execute on function public.complete_activity(uuid, uuid, text) to authenticated;

-- Tags --------------------------------------------------------------------------------------
create function public.tag_records(
    organization_id uuid,
    object text,
    ids uuid[],
    tag_ids uuid[]
)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
-- The caller's own policies decide everything here.
declare
    v_count bigint;
begin
    if coalesce(cardinality(ids), 0) * coalesce(cardinality(tag_ids), 0) not between 1 and 10000 then
        perform private.fail(
            422, 'ids.count', 'this takes 1 to 10000 pairs', 'send them in several requests'
        );
    end if;
    case object
        when 'contact' then
            insert into public.contact_tags (organization_id, contact_id, tag_id)
            select distinct tag_records.organization_id, r.id, t.id
            from unnest(ids) as r (id)
            cross join unnest(tag_ids) as t (id)
            on conflict do nothing;
        when 'company' then
            insert into public.company_tags (organization_id, company_id, tag_id)
            select distinct tag_records.organization_id, r.id, t.id
            from unnest(ids) as r (id)
            cross join unnest(tag_ids) as t (id)
            on conflict do nothing;
        when 'deal' then
            insert into public.deal_tags (organization_id, deal_id, tag_id)
            select distinct tag_records.organization_id, r.id, t.id
            from unnest(ids) as r (id)
            cross join unnest(tag_ids) as t (id)
            on conflict do nothing;
        else
            perform private.fail(
                422, 'object.unknown', 'this cannot be tagged', 'one of contact, company, deal'
            );
    end case;
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;
comment on function public.tag_records(uuid, text, uuid[], uuid[]) is
'Puts each of the tags on each of the contacts, companies or deals; says how many were new.';
grant execute on function public.tag_records(uuid, text, uuid[], uuid[]) to authenticated;

create function public.untag_records(
    organization_id uuid,
    object text,
    ids uuid[],
    tag_ids uuid[]
)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
-- The caller's own policies decide everything here.
declare
    v_count bigint;
begin
    case object
        when 'contact' then
            delete from public.contact_tags as x
            where
                x.organization_id = untag_records.organization_id
                and x.contact_id = any(ids)
                and x.tag_id = any(tag_ids);
        when 'company' then
            delete from public.company_tags as x
            where
                x.organization_id = untag_records.organization_id
                and x.company_id = any(ids)
                and x.tag_id = any(tag_ids);
        when 'deal' then
            delete from public.deal_tags as x
            where
                x.organization_id = untag_records.organization_id
                and x.deal_id = any(ids)
                and x.tag_id = any(tag_ids);
        else
            perform private.fail(
                422, 'object.unknown', 'this cannot be tagged', 'one of contact, company, deal'
            );
    end case;
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;
comment on function public.untag_records(uuid, text, uuid[], uuid[]) is
'Takes each of the tags off each of the records; says how many there were.';
grant execute on function public.untag_records(uuid, text, uuid[], uuid[]) to authenticated;

-- Imports -----------------------------------------------------------------------------------
create function private.set_import_status(
    p_organization_id uuid,
    p_import_job_id uuid,
    p_from text[],
    p_to text
)
returns setof public.import_jobs
language plpgsql
volatile
-- Clients have no UPDATE privilege on status.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job public.import_jobs;
begin
    perform private.require(p_organization_id, 'imports.write');
    select j.* into v_job
    from public.import_jobs as j
    where j.organization_id = p_organization_id and j.id = p_import_job_id
    for update;
    if not found then
        perform private.fail(404, 'import.not_found', 'there is no such import');
    end if;
    -- What was waited for may have been the end of this permission.
    perform private.require(p_organization_id, 'imports.write');
    if not v_job.status = any(p_from) then
        perform private.fail(
            409,
            'import.status',
            pg_catalog.format('an import that is %s cannot become %s', v_job.status, p_to),
            'start a new import'
        );
    end if;
    return query
        update public.import_jobs as j
        set status = p_to
        where j.organization_id = p_organization_id and j.id = p_import_job_id
        returning j.*;
end;
$$;
comment on function private.set_import_status(uuid, uuid, text[], text) is
'Takes an import from one of some states to another.';

create function private.queue_import(p_organization_id uuid, p_import_job_id uuid)
returns setof public.import_jobs
language sql
volatile
-- Only the transition below may be asked for, not set_import_status() itself.
security definer
set search_path = pg_catalog, pg_temp
as $$
    select * from private.set_import_status(
        p_organization_id, p_import_job_id, array['draft'], 'queued'
    )
$$;
comment on function private.queue_import(uuid, uuid) is 'Hands a draft import to the worker.';
grant execute on function private.queue_import(uuid, uuid) to authenticated;

create function private.cancel_import(p_organization_id uuid, p_import_job_id uuid)
returns setof public.import_jobs
language sql
volatile
-- Only the transition below may be asked for, not set_import_status() itself.
security definer
set search_path = pg_catalog, pg_temp
as $$
    select * from private.set_import_status(
        p_organization_id, p_import_job_id, array['draft', 'queued', 'running'], 'cancelled'
    )
$$;
comment on function private.cancel_import(uuid, uuid) is 'Stops an import.';
grant execute on function private.cancel_import(uuid, uuid) to authenticated;

create function public.queue_import(organization_id uuid, import_job_id uuid)
returns setof public.import_jobs
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select * from private.queue_import(queue_import.organization_id, queue_import.import_job_id)
$$;
comment on function public.queue_import(uuid, uuid) is
'Hands a draft import to the worker and returns it. Needs imports.write.';
grant execute on function public.queue_import(uuid, uuid) to authenticated;

create function public.cancel_import(organization_id uuid, import_job_id uuid)
returns setof public.import_jobs
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select * from private.cancel_import(cancel_import.organization_id, cancel_import.import_job_id)
$$;
comment on function public.cancel_import(uuid, uuid) is
'Stops an import that is not finished and returns it. Rows already taken in stay.';
grant execute on function public.cancel_import(uuid, uuid) to authenticated;
