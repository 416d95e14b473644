-- Integrations, secrets and webhooks: metadata to read, nothing else to reach.
begin;
\ir helpers.psql
select no_plan();

insert into public.secrets (organization_id, name, kind) values
(tests.alder(), 'hubspot/token', 'api_key'),
(tests.birch(), 'stripe/key', 'api_key');

-- Integrations -------------------------------------------------------------------------------
select tests.as_user('adam.admin');
select is(
    tests.changed(
        $$ insert into public.integrations (organization_id, provider, name, audience)
        values (tests.alder(), 'hubspot', 'HubSpot', 'api.hubapi.com') $$
    ),
    1::bigint,
    'an admin connects a service'
);
select is(
    tests.error_of(
        $$ insert into public.integrations (organization_id, provider, name, audience)
        values (tests.birch(), 'hubspot', 'HubSpot', 'api.hubapi.com') $$
    ),
    '42501',
    'but not for another organization'
);
select is(
    tests.error_of($$ update public.integrations set audience = 'https://evil.example/' $$),
    'integrations_audience_check',
    'a host is a host, not a URL'
);
select tests.as_user('mika.member');
select is(count(*), 1::bigint, 'a member sees it') from public.integrations;
select is(
    tests.error_of(
        $$ insert into public.integrations (organization_id, provider, name, audience)
        values (tests.alder(), 'x', 'X', 'x.example') $$
    ),
    '42501',
    'and connects nothing'
);

-- Secrets ------------------------------------------------------------------------------------
select is(count(*), 0::bigint, 'a member sees no secrets') from public.secrets;
select tests.as_user('mara.manager');
select results_eq(
    'select name from public.secrets',
    array['hubspot/token'],
    'a manager sees which secrets her organization has'
);
select tests.as_user('olga.owner', 'aal2');
select is(
    tests.error_of($$ update public.secrets set status = 'disabled' $$),
    '42501',
    'even an owner changes them only through the vault'
);
select is(
    tests.error_of('select 1 from private.secret_versions'),
    '42501',
    'and never sees what is sealed'
);
select ok(
    'secrets.reveal' in (select public.my_permissions(tests.alder())),
    'an owner with the second factor may reveal'
);
select tests.as_user('olga.owner', 'aal1');
select ok(
    'secrets.reveal' not in (select public.my_permissions(tests.alder())),
    'without it she may not'
);
select tests.as_role('service_role');
select is(
    tests.error_of('select 1 from private.organization_keys'),
    '42501',
    'the service role reaches no keys'
);
select is(
    tests.error_of($$ update public.integrations set audience = 'evil.example' $$),
    '42501',
    'and cannot redirect an integration'
);

-- Webhooks -----------------------------------------------------------------------------------
select tests.as_user('adam.admin');
select is(
    tests.changed(
        $$ insert into public.webhook_endpoints (organization_id, name, scheme, secret_id)
        select s.organization_id, 'in', 'standard', s.id from public.secrets as s $$
    ),
    1::bigint,
    'an admin adds an endpoint'
);
select is(
    tests.error_of(
        $$ insert into public.webhook_events (organization_id, body)
        values (tests.alder(), 'x') $$
    ),
    '42501',
    'events come only from the receiver'
);
select tests.as_user('otto.owner', 'aal2');
select is(count(*), 0::bigint, 'another organization sees no endpoint')
from public.webhook_endpoints;
select tests.as_role('anon');
select is(
    tests.error_of('select 1 from public.secrets'),
    '42501',
    'a visitor may not even ask for secrets'
);

select * from finish();
rollback;
