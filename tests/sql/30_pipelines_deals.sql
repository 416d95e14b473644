-- Pipelines and deals: stages decide, history remembers.
begin;
\ir helpers.psql
select no_plan();

-- A new organization -------------------------------------------------------------------------
select tests.as_user('nora.nobody');
select is(count(*), 1::bigint, 'anybody signed in can found an organization')
from public.create_organization('Cedar House', 'cedar-house');
select results_eq(
    'select s.name, s.kind from public.pipeline_stages as s order by s.position',
    $$
        values
        ('New', 'open'), ('Qualified', 'open'), ('Offer sent', 'open'), ('Won', 'won'),
        ('Lost', 'lost')
    $$,
    'and it can sell at once: there is a pipeline with its stages'
);
select lives_ok(
    $$
        insert into public.deals (organization_id, name)
        select o.id, 'First deal' from public.organizations as o
    $$,
    'a deal needs no more than a name'
);
select results_eq(
    $$
        select s.name, d.status, d.currency, d.owner_id
        from public.deals as d
        inner join public.pipeline_stages as s
            on d.organization_id = s.organization_id and d.stage_id = s.id
    $$,
    $$ values ('New', 'open', 'EUR', tests.person('nora.nobody')) $$,
    'it begins in the first stage of the default pipeline, in the currency of the house'
);

-- Seeing -------------------------------------------------------------------------------------
select tests.as_user('rita.rep');
select results_eq(
    'select d.name from public.deals as d',
    array['Stone saw'],
    'a sales representative sees her own deals'
);
select is(count(*), 1::bigint, 'with their history') from public.deal_stage_history;
select is(count(*), 1::bigint, 'their participants') from public.deal_contacts;
select is(count(*), 1::bigint, 'and their tags') from public.deal_tags;
select tests.as_user('mona.member');
select results_eq(
    'select d.name from public.deals as d',
    array['Season poster'],
    'the other organization sees its own deals only'
);
select is(count(*), 1::bigint, 'their history only') from public.deal_stage_history;
select is(count(*), 5::bigint, 'and its own stages') from public.pipeline_stages;

-- Moving -------------------------------------------------------------------------------------
select tests.as_user('rita.rep');
select results_eq(
    $$
        select m.status, m.closed_at is not null, m.lost_reason
        from public.move_deal(
            tests.alder(), 'a8000000-0000-7000-8000-000000000002',
            'a3000000-0000-7000-8000-000000000005', 'too dear'
        ) as m
    $$,
    $$ values ('lost', true, 'too dear') $$,
    'moving to a lost stage closes the deal, with the reason'
);
select results_eq(
    $$
        select m.status, m.closed_at is null, m.lost_reason
        from public.move_deal(
            tests.alder(), 'a8000000-0000-7000-8000-000000000002',
            'a3000000-0000-7000-8000-000000000003', 'kept no more'
        ) as m
    $$,
    $$ values ('open', true, null::text) $$,
    'moving back opens it again'
);
select results_eq(
    $$
        select h.from_stage_id is null, s.name, h.status, h.moved_by
        from public.deal_stage_history as h
        inner join public.pipeline_stages as s
            on h.organization_id = s.organization_id and h.to_stage_id = s.id
        where h.deal_id = 'a8000000-0000-7000-8000-000000000002'
        order by h.id
    $$,
    $$
        values
        (true, 'New', 'open', null::uuid),
        (false, 'Lost', 'lost', tests.person('rita.rep')),
        (false, 'Offer sent', 'open', tests.person('rita.rep'))
    $$,
    'and all of it is kept, with who did it'
);
select is(
    tests.error_of($$
        select public.move_deal(
            tests.alder(), 'a8000000-0000-7000-8000-000000000001',
            'a3000000-0000-7000-8000-000000000005'
        )
    $$),
    'record.not_found',
    'a deal out of sight is as one that does not exist'
);
select is(
    tests.error_of($$
        select public.move_deal(
            tests.alder(), 'a8000000-0000-7000-8000-000000000002',
            'b3000000-0000-7000-8000-000000000004'
        )
    $$),
    'stage.not_found',
    'and so is a stage of another organization'
);
select is(
    tests.error_of($$
        update public.deals set status = 'won' where id = 'a8000000-0000-7000-8000-000000000002'
    $$),
    '42501',
    'the status follows the stage and cannot be written'
);
select is(
    tests.error_of($$
        insert into public.deal_stage_history (organization_id, deal_id, status)
        values (tests.alder(), 'a8000000-0000-7000-8000-000000000002', 'won')
    $$),
    '42501',
    'nor can history'
);
select is(
    tests.changed($$
        update public.deals set stage_id = 'a3000000-0000-7000-8000-000000000004'
        where id = 'a8000000-0000-7000-8000-000000000002'
    $$),
    1::bigint,
    'writing stage_id is a move too'
);
select is(d.status, 'won', 'with the same result') from public.deals as d
where d.id = 'a8000000-0000-7000-8000-000000000002';

-- Another pipeline ---------------------------------------------------------------------------
select tests.as_user('mara.manager');
select lives_ok(
    $$
        insert into public.pipelines (organization_id, id, name)
        values (tests.alder(), 'a2000000-0000-7000-8000-000000000009', 'Service')
    $$,
    'a manager makes a pipeline'
);
select lives_ok(
    $$
        insert into public.pipeline_stages (organization_id, id, pipeline_id, name)
        values (
            tests.alder(), 'a3000000-0000-7000-8000-000000000091',
            'a2000000-0000-7000-8000-000000000009', 'Asked'
        )
    $$,
    'and its stages'
);
select results_eq(
    $$
        select m.pipeline_id
        from public.move_deal(
            tests.alder(), 'a8000000-0000-7000-8000-000000000001',
            'a3000000-0000-7000-8000-000000000091'
        ) as m
    $$,
    array['a2000000-0000-7000-8000-000000000009'::uuid],
    'a move to a stage of it takes the deal to that pipeline'
);
select is(
    tests.error_of($$
        insert into public.deals (organization_id, name, pipeline_id, stage_id)
        values (
            tests.alder(), 'Impossible', 'a2000000-0000-7000-8000-000000000001',
            'a3000000-0000-7000-8000-000000000091'
        )
    $$),
    'deals_stage_fkey',
    'a stage of one pipeline in another is refused'
);
select is(
    tests.error_of($$
        update public.pipeline_stages set kind = 'won'
        where id = 'a3000000-0000-7000-8000-000000000091'
    $$),
    '42501',
    'what a stage means does not change under the deals in it'
);
select tests.as_user('mika.member');
select is(
    tests.error_of($$
        insert into public.pipelines (organization_id, name) values (tests.alder(), 'Mine')
    $$),
    '42501',
    'a member makes no pipelines'
);
select tests.as_user('adam.admin');
select is(
    tests.error_of($$
        delete from public.pipeline_stages where id = 'a3000000-0000-7000-8000-000000000091'
    $$),
    'deals_stage_fkey',
    'a stage that deals are in cannot go'
);
select is(
    tests.changed($$
        delete from public.pipeline_stages where id = 'a3000000-0000-7000-8000-000000000002'
    $$),
    1::bigint,
    'an empty one can'
);

-- Children follow the deal -------------------------------------------------------------------
select is(
    tests.changed($$
        update public.deals
        set owner_id = tests.person('mika.member'), team_id = null
        where id = 'a8000000-0000-7000-8000-000000000002'
    $$),
    1::bigint,
    'an administrator takes a deal from the sales representative'
);
select tests.as_user('rita.rep');
select is(count(*), 0::bigint, 'she no longer sees it') from public.deals;
select is(count(*), 0::bigint, 'nor its history') from public.deal_stage_history;
select is(count(*), 0::bigint, 'nor its participants') from public.deal_contacts;
select is(count(*), 0::bigint, 'nor its tags') from public.deal_tags;
select is(
    tests.error_of($$
        insert into public.deal_contacts (organization_id, deal_id, contact_id)
        values (
            tests.alder(), 'a8000000-0000-7000-8000-000000000002',
            'a7000000-0000-7000-8000-000000000003'
        )
    $$),
    '42501',
    'and adds nothing to it'
);
select is(
    tests.error_of($$
        insert into public.deal_contacts (organization_id, deal_id, contact_id, owner_id)
        values (
            tests.alder(), 'a8000000-0000-7000-8000-000000000002',
            'a7000000-0000-7000-8000-000000000003', tests.person('rita.rep')
        )
    $$),
    '42501',
    'nor by claiming the child as her own'
);
select tests.as_user('mika.member');
select is(
    tests.error_of($$
        insert into public.deal_contacts (organization_id, deal_id, contact_id)
        values (
            tests.alder(), 'a8000000-0000-7000-8000-000000000002',
            'a7000000-0000-7000-8000-000000000004'
        )
    $$),
    null,
    'the new owner does'
);
select is(
    tests.error_of($$
        insert into public.deal_contacts (organization_id, deal_id, contact_id)
        values (
            tests.alder(), 'a8000000-0000-7000-8000-000000000002',
            'b7000000-0000-7000-8000-000000000001'
        )
    $$),
    'deal_contacts_contact_fkey',
    'though not with a contact of another organization'
);

-- Many at once ------------------------------------------------------------------------------
select tests.as_user('adam.admin');
insert into public.deals (organization_id, id, name, amount_minor, currency)
select
    tests.alder(), ('a8000000-0000-7000-8000-0000000009' || n)::uuid, 'Lot ' || n, n * 100, 'EUR'
from generate_series(10, 12) as n;
insert into public.deals (organization_id, id, name, amount_minor, currency)
select
    tests.alder(), ('a8000000-0000-7000-8000-0000000009' || n)::uuid, 'Lot ' || n, n * 100, 'EUR'
from generate_series(12, 13) as n
on conflict (organization_id, id) do update set name = excluded.name;
select results_eq(
    $$
        select d.name, h.from_stage_id, h.to_stage_id = d.stage_id, h.amount_minor, h.moved_by
        from public.deal_stage_history as h
        inner join public.deals as d
            on h.organization_id = d.organization_id and h.deal_id = d.id
        where d.name like 'Lot %'
        order by d.name
    $$,
    $$
        select 'Lot ' || n, null::uuid, true, n * 100::bigint, tests.person('adam.admin')
        from generate_series(10, 13) as n
    $$,
    'each new deal of a statement begins its history, and none begins it twice'
);

-- Whole organizations go, deals and all -------------------------------------------------------
select tests.as_owner();
select is(
    tests.changed('delete from public.organizations where id = tests.alder()'),
    1::bigint,
    'an organization can be deleted with everything in it'
);
select is(count(*), 1::bigint, 'and leaves the deals of others alone')
from public.deals as d
where d.organization_id = tests.birch();

select * from finish();
rollback;
