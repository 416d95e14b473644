set local lock_timeout = '4s';

-- What a merge did, so that it can be undone. Private: it holds a copy of what was changed, and
-- that may be more than the person who looks may see.
create table private.contact_merges (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    survivor_id uuid not null,
    merged_id uuid not null,
    snapshot jsonb not null,
    merged_by uuid default auth.uid(),
    merged_at timestamptz not null default now(),
    undone_by uuid,
    undone_at timestamptz,
    constraint contact_merges_pkey primary key (organization_id, id),
    constraint contact_merges_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    -- Erasing either person erases the copy too.
    constraint contact_merges_survivor_fkey
    foreign key (organization_id, survivor_id)
    references public.contacts (organization_id, id) on delete cascade,
    constraint contact_merges_merged_fkey
    foreign key (organization_id, merged_id)
    references public.contacts (organization_id, id) on delete cascade,
    constraint contact_merges_merged_id_check check (merged_id <> survivor_id)
);
comment on table private.contact_merges is 'Which contacts became one, and how to undo it.';
comment on column private.contact_merges.snapshot is
'survivor: its fields before; filled: what the merge put there; moved: ids of the children that
changed hands; removed: join rows that were folded; added: join rows that were new.';
create index contact_merges_survivor_idx
on private.contact_merges (organization_id, survivor_id, merged_at desc);
create index contact_merges_merged_idx on private.contact_merges (organization_id, merged_id);
call private.lock_down('private.contact_merges');

create function private.merge_contacts(
    p_organization_id uuid,
    p_survivor_id uuid,
    p_merged_id uuid
)
returns table (merge_id uuid, moved bigint, undo_until timestamptz)
language plpgsql
volatile
-- Moves children that the caller may not see or change one by one.
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    -- As an update of one's own would: what one may not see one does not copy, nor get to see.
    v_read constant private.reach := private.require_reach(p_organization_id, 'contacts.read');
    v_write constant private.reach := private.require_reach(p_organization_id, 'contacts.write');
    v_delete constant private.reach := private.require_reach(
        p_organization_id, 'contacts.delete'
    );
    v_survivor public.contacts;
    v_merged public.contacts;
    v_filled jsonb;
    v_fields jsonb;
    v_moved jsonb;
    v_removed jsonb;
    v_added jsonb;
    v_merge private.contact_merges;
    v_row record;
begin
    if p_survivor_id is null or p_merged_id is null or p_survivor_id = p_merged_id then
        perform private.fail(
            422, 'merge.same', 'a merge needs two different contacts', 'give two ids'
        );
    end if;
    -- In key order, so that merging A into B and B into A at once cannot deadlock.
    for v_row in
        select c.*
        from public.contacts as c
        where
            c.organization_id = p_organization_id
            and c.id in (p_survivor_id, p_merged_id)
            and c.deleted_at is null
        order by c.id
        for update
    loop
        if v_row.id = p_survivor_id then
            v_survivor := v_row;
        else
            v_merged := v_row;
        end if;
    end loop;
    if v_survivor.id is null
        or v_merged.id is null
        or not private.in_reach(v_read, v_survivor.owner_id, v_survivor.team_id)
        or not private.in_reach(v_read, v_merged.owner_id, v_merged.team_id)
        or not private.in_reach(v_write, v_survivor.owner_id, v_survivor.team_id)
        or not private.in_reach(v_write, v_merged.owner_id, v_merged.team_id)
        or not private.in_reach(v_delete, v_merged.owner_id, v_merged.team_id)
    then
        perform private.fail(
            404,
            'record.not_found',
            'at least one of these does not exist or is not within your reach',
            'nothing was changed'
        );
    end if;

    -- What the survivor does not know, the other one tells. Who asked to be left alone stays so.
    select pg_catalog.jsonb_object_agg(f.key, f.value) into v_filled
    from pg_catalog.jsonb_each(
        pg_catalog.jsonb_build_object(
            'company_id', v_merged.company_id,
            'email', v_merged.email,
            'phone', v_merged.phone,
            'job_title', v_merged.job_title,
            'source', v_merged.source,
            'website_url', v_merged.website_url,
            'description', v_merged.description,
            'city', v_merged.city,
            'country', v_merged.country,
            'owner_id', v_merged.owner_id,
            'team_id', v_merged.team_id
        )
    ) as f
    where f.value <> 'null' and pg_catalog.to_jsonb(v_survivor) -> f.key = 'null';
    v_filled := coalesce(v_filled, '{}');
    if v_survivor.first_name is null and v_survivor.last_name is null then
        v_filled := v_filled || pg_catalog.jsonb_strip_nulls(
            pg_catalog.jsonb_build_object(
                'first_name', v_merged.first_name, 'last_name', v_merged.last_name
            )
        );
    end if;
    if v_merged.do_not_contact and not v_survivor.do_not_contact then
        v_filled := v_filled || '{"do_not_contact": true}';
    end if;
    -- Values that nobody could enter today (of an archived field, or no longer an option) stay with
    -- the one in the bin; they would stop the merge.
    select coalesce(pg_catalog.jsonb_object_agg(f.key, f.value), '{}') into v_fields
    from pg_catalog.jsonb_each(v_merged.custom_fields) as f
    inner join public.custom_field_definitions as d
        on d.organization_id = p_organization_id and d.object = 'contact' and f.key = d.key
    where d.archived_at is null and private.custom_field_fits(d.type, d.options, f.value);
    v_fields := v_fields || v_survivor.custom_fields;
    if v_fields <> v_survivor.custom_fields then
        v_filled := v_filled || pg_catalog.jsonb_build_object('custom_fields', v_fields);
    end if;
    update public.contacts as c
    set
        (
            company_id, first_name, last_name, email, phone, job_title, source, website_url,
            description, city, country, do_not_contact, custom_fields, owner_id, team_id
        ) = (
            select
                n.company_id, n.first_name, n.last_name, n.email, n.phone, n.job_title, n.source,
                n.website_url, n.description, n.city, n.country, n.do_not_contact,
                n.custom_fields, n.owner_id, n.team_id
            from pg_catalog.jsonb_populate_record(v_survivor, v_filled) as n
        )
    where c.organization_id = p_organization_id and c.id = p_survivor_id and v_filled <> '{}';

    -- Children that belong to one contact change hands.
    with activities as (
        update public.activities as x set contact_id = p_survivor_id
        where x.organization_id = p_organization_id and x.contact_id = p_merged_id
        returning x.id
    ),

    conversations as (
        update public.conversations as x set contact_id = p_survivor_id
        where x.organization_id = p_organization_id and x.contact_id = p_merged_id
        returning x.id
    ),

    files as (
        update public.files as x set contact_id = p_survivor_id
        where x.organization_id = p_organization_id and x.contact_id = p_merged_id
        returning x.id
    )

    select
        pg_catalog.jsonb_build_object(
            'activities', (select coalesce(pg_catalog.jsonb_agg(m.id), '[]') from activities as m),
            'conversations',
            (select coalesce(pg_catalog.jsonb_agg(m.id), '[]') from conversations as m),
            'files', (select coalesce(pg_catalog.jsonb_agg(m.id), '[]') from files as m)
        )
    into v_moved;

    -- Joins are folded: what both have stays once.
    with deals as (
        delete from public.deal_contacts as x
        where x.organization_id = p_organization_id and x.contact_id = p_merged_id
        returning x.*
    ),

    tags as (
        delete from public.contact_tags as x
        where x.organization_id = p_organization_id and x.contact_id = p_merged_id
        returning x.*
    )

    select
        pg_catalog.jsonb_build_object(
            'deal_contacts',
            (select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(m)), '[]') from deals as m),
            'contact_tags',
            (select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(m)), '[]') from tags as m)
        )
    into v_removed;
    with deals as (
        insert into public.deal_contacts as x (
            organization_id, deal_id, contact_id, role, created_by, created_at
        )
        select p_organization_id, m.deal_id, p_survivor_id, m.role, m.created_by, m.created_at
        from pg_catalog.jsonb_populate_recordset(
            null::public.deal_contacts, v_removed -> 'deal_contacts'
        ) as m
        on conflict do nothing
        returning x.deal_id
    ),

    tags as (
        insert into public.contact_tags as x (
            organization_id, contact_id, tag_id, created_by, created_at
        )
        select p_organization_id, p_survivor_id, m.tag_id, m.created_by, m.created_at
        from pg_catalog.jsonb_populate_recordset(
            null::public.contact_tags, v_removed -> 'contact_tags'
        ) as m
        on conflict do nothing
        returning x.tag_id
    )

    select
        pg_catalog.jsonb_build_object(
            'deal_contacts', (select coalesce(pg_catalog.jsonb_agg(m.deal_id), '[]') from deals as m),
            'contact_tags', (select coalesce(pg_catalog.jsonb_agg(m.tag_id), '[]') from tags as m)
        )
    into v_added;

    update public.contacts as c
    set deleted_at = pg_catalog.now()
    where c.organization_id = p_organization_id and c.id = p_merged_id;

    insert into private.contact_merges as m (organization_id, survivor_id, merged_id, snapshot)
    values (
        p_organization_id,
        p_survivor_id,
        p_merged_id,
        pg_catalog.jsonb_build_object(
            'survivor', pg_catalog.to_jsonb(v_survivor),
            'filled', v_filled,
            'moved', v_moved,
            'removed', v_removed,
            'added', v_added
        )
    )
    returning m.* into v_merge;

    return query
        select
            v_merge.id,
            (
                select coalesce(pg_catalog.sum(pg_catalog.jsonb_array_length(k.value)), 0)::bigint
                from pg_catalog.jsonb_each(v_moved || v_removed) as k
            ),
            v_merge.merged_at + interval '30 days';
end;
$$;
comment on function private.merge_contacts(uuid, uuid, uuid) is
'Makes two contacts one: fills the gaps of the survivor, moves every child, bins the other.';
grant execute on function private.merge_contacts(uuid, uuid, uuid) to authenticated;

create function public.merge_contacts(organization_id uuid, survivor_id uuid, merged_id uuid)
returns table (merge_id uuid, moved bigint, undo_until timestamptz)
language sql
volatile
set search_path = pg_catalog, pg_temp
rows 1
as $$
    select *
    from private.merge_contacts(
        merge_contacts.organization_id, merge_contacts.survivor_id, merge_contacts.merged_id
    )
$$;
comment on function public.merge_contacts(uuid, uuid, uuid) is
'Makes two contacts one. The survivor keeps what it knows and gets what it lacks.

Activities, conversations, files, deals and tags move to the survivor; the other contact goes to
the bin. Needs contacts.read and contacts.write for both, contacts.delete for the one that goes.
unmerge_contacts() undoes it for 30 days.';
grant execute on function public.merge_contacts(uuid, uuid, uuid) to authenticated;

create function private.unmerge_contacts(p_organization_id uuid, p_merge_id uuid)
returns setof public.contacts
language plpgsql
volatile
-- Moves children that the caller may not see or change one by one.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    -- As an update of one's own would: what one may not see one does not copy, nor get to see.
    v_read constant private.reach := private.require_reach(p_organization_id, 'contacts.read');
    v_write constant private.reach := private.require_reach(p_organization_id, 'contacts.write');
    v_delete constant private.reach := private.require_reach(
        p_organization_id, 'contacts.delete'
    );
    v_merge private.contact_merges;
    v_survivor public.contacts;
    v_merged public.contacts;
    v_undo jsonb;
    v_row record;
begin
    select m.* into v_merge
    from private.contact_merges as m
    where m.organization_id = p_organization_id and m.id = p_merge_id;
    -- The contacts first and the merge after them, as when a contact is erased.
    for v_row in
        select c.*
        from public.contacts as c
        where
            c.organization_id = p_organization_id
            and c.id in (v_merge.survivor_id, v_merge.merged_id)
        order by c.id
        for update
    loop
        if v_row.id = v_merge.survivor_id then
            v_survivor := v_row;
        else
            v_merged := v_row;
        end if;
    end loop;
    select m.* into v_merge
    from private.contact_merges as m
    where m.organization_id = p_organization_id and m.id = p_merge_id
    for update;
    if v_survivor.id is null
        or v_merged.id is null
        or not private.in_reach(v_read, v_survivor.owner_id, v_survivor.team_id)
        or not private.in_reach(v_read, v_merged.owner_id, v_merged.team_id)
        or not private.in_reach(v_write, v_survivor.owner_id, v_survivor.team_id)
        or not private.in_reach(v_write, v_merged.owner_id, v_merged.team_id)
        or not private.in_reach(v_delete, v_merged.owner_id, v_merged.team_id)
    then
        perform private.fail(
            404,
            'record.not_found',
            'there is no such merge within your reach',
            'nothing was changed'
        );
    end if;
    if v_merge.undone_at is not null
        or v_merge.merged_at <= pg_catalog.now() - interval '30 days'
    then
        perform private.fail(
            409,
            'merge.final',
            'this merge was undone already, or is more than 30 days old',
            'restore() takes the other contact out of the bin'
        );
    end if;

    -- What the merge filled in goes, unless somebody changed it since.
    select pg_catalog.jsonb_object_agg(f.key, v_merge.snapshot -> 'survivor' -> f.key) into v_undo
    from pg_catalog.jsonb_each(v_merge.snapshot -> 'filled') as f
    where pg_catalog.to_jsonb(v_survivor) -> f.key = f.value;
    update public.contacts as c
    set
        (
            company_id, first_name, last_name, email, phone, job_title, source, website_url,
            description, city, country, do_not_contact, custom_fields, owner_id, team_id
        ) = (
            select
                n.company_id, n.first_name, n.last_name, n.email, n.phone, n.job_title, n.source,
                n.website_url, n.description, n.city, n.country, n.do_not_contact,
                n.custom_fields, n.owner_id, n.team_id
            from pg_catalog.jsonb_populate_record(v_survivor, v_undo) as n
        )
    where c.organization_id = p_organization_id and c.id = v_survivor.id and v_undo is not null;

    update public.activities as x set contact_id = v_merged.id
    where
        x.organization_id = p_organization_id
        and x.contact_id = v_survivor.id
        and v_merge.snapshot -> 'moved' -> 'activities' ? x.id::text;
    update public.conversations as x set contact_id = v_merged.id
    where
        x.organization_id = p_organization_id
        and x.contact_id = v_survivor.id
        and v_merge.snapshot -> 'moved' -> 'conversations' ? x.id::text;
    update public.files as x set contact_id = v_merged.id
    where
        x.organization_id = p_organization_id
        and x.contact_id = v_survivor.id
        and v_merge.snapshot -> 'moved' -> 'files' ? x.id::text;

    delete from public.deal_contacts as x
    where
        x.organization_id = p_organization_id
        and x.contact_id = v_survivor.id
        and v_merge.snapshot -> 'added' -> 'deal_contacts' ? x.deal_id::text;
    delete from public.contact_tags as x
    where
        x.organization_id = p_organization_id
        and x.contact_id = v_survivor.id
        and v_merge.snapshot -> 'added' -> 'contact_tags' ? x.tag_id::text;
    insert into public.deal_contacts (
        organization_id, deal_id, contact_id, role, created_by, created_at
    )
    select p_organization_id, m.deal_id, v_merged.id, m.role, m.created_by, m.created_at
    from pg_catalog.jsonb_populate_recordset(
        null::public.deal_contacts, v_merge.snapshot -> 'removed' -> 'deal_contacts'
    ) as m
    -- The deal may be gone by now.
    inner join public.deals as d on d.organization_id = p_organization_id and m.deal_id = d.id
    on conflict do nothing;
    insert into public.contact_tags (organization_id, contact_id, tag_id, created_by, created_at)
    select p_organization_id, v_merged.id, m.tag_id, m.created_by, m.created_at
    from pg_catalog.jsonb_populate_recordset(
        null::public.contact_tags, v_merge.snapshot -> 'removed' -> 'contact_tags'
    ) as m
    inner join public.tags as t on t.organization_id = p_organization_id and m.tag_id = t.id
    on conflict do nothing;

    update public.contacts as c
    set deleted_at = null
    where c.organization_id = p_organization_id and c.id = v_merged.id;
    update private.contact_merges as m
    set undone_at = pg_catalog.now(), undone_by = auth.uid()
    where m.organization_id = p_organization_id and m.id = p_merge_id;

    return query
        select c.*
        from public.contacts as c
        where
            c.organization_id = p_organization_id
            and c.id in (v_survivor.id, v_merged.id)
        order by c.id = v_survivor.id desc;
end;
$$;
comment on function private.unmerge_contacts(uuid, uuid) is
'Makes two contacts of one again, as far as nobody has changed them since.';
grant execute on function private.unmerge_contacts(uuid, uuid) to authenticated;

create function public.unmerge_contacts(organization_id uuid, merge_id uuid)
returns setof public.contacts
language sql
volatile
set search_path = pg_catalog, pg_temp
rows 2
as $$
    select *
    from private.unmerge_contacts(unmerge_contacts.organization_id, unmerge_contacts.merge_id)
$$;
comment on function public.unmerge_contacts(uuid, uuid) is
'Undoes merge_contacts() for 30 days and returns both contacts, the survivor first.

What was changed since the merge stays as it is.';
grant execute on function public.unmerge_contacts(uuid, uuid) to authenticated;
