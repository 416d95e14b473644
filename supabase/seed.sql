-- Two small organizations in which every role occurs. Running it again changes nothing.
-- Nobody can sign in with a password: none is set. Use the admin API to set one where needed.

-- People ------------------------------------------------------------------------------------
insert into auth.users (
    instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
    confirmation_token, recovery_token, email_change_token_new, email_change,
    raw_app_meta_data, raw_user_meta_data, created_at, updated_at
)
select
    '00000000-0000-0000-0000-000000000000',
    p.id::uuid,
    'authenticated',
    'authenticated',
    p.email,
    '',
    '2026-01-01 08:00+00',
    '',
    '',
    '',
    '',
    '{"provider": "email", "providers": ["email"]}',
    '{}',
    '2026-01-01 08:00+00',
    '2026-01-01 08:00+00'
from (
    values
    ('e0000000-0000-4000-8000-000000000001', 'olga.owner@alder.example'),
    ('e0000000-0000-4000-8000-000000000002', 'adam.admin@alder.example'),
    ('e0000000-0000-4000-8000-000000000003', 'mara.manager@alder.example'),
    ('e0000000-0000-4000-8000-000000000004', 'mika.member@alder.example'),
    ('e0000000-0000-4000-8000-000000000005', 'vera.viewer@alder.example'),
    ('e0000000-0000-4000-8000-000000000006', 'sten.suspended@alder.example'),
    ('e0000000-0000-4000-8000-000000000007', 'rita.rep@alder.example'),
    ('e0000000-0000-4000-8000-000000000011', 'otto.owner@birch.example'),
    ('e0000000-0000-4000-8000-000000000012', 'bea.both@birch.example'),
    ('e0000000-0000-4000-8000-000000000013', 'marc.manager@birch.example'),
    ('e0000000-0000-4000-8000-000000000014', 'mona.member@birch.example'),
    ('e0000000-0000-4000-8000-000000000015', 'vito.viewer@birch.example'),
    ('e0000000-0000-4000-8000-000000000021', 'nora.nobody@elsewhere.example')
) as p (id, email)
on conflict do nothing;

insert into auth.identities (
    id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at
)
select
    u.id,
    u.id::text as provider_id,
    u.id as user_id,
    jsonb_build_object('sub', u.id::text, 'email', u.email, 'email_verified', true) as data,
    'email' as provider,
    u.created_at as last_sign_in_at,
    u.created_at,
    u.updated_at
from auth.users as u
where u.id::text ~ '^e0000000-0000-4000-8000-0000000000[0-2][0-9]$'
on conflict do nothing;

insert into public.profiles (user_id, display_name) values
('e0000000-0000-4000-8000-000000000001', 'Olga Owner'),
('e0000000-0000-4000-8000-000000000002', 'Adam Admin'),
('e0000000-0000-4000-8000-000000000003', 'Mara Manager'),
('e0000000-0000-4000-8000-000000000004', 'Mika Member'),
('e0000000-0000-4000-8000-000000000005', 'Vera Viewer'),
('e0000000-0000-4000-8000-000000000006', 'Sten Suspended'),
('e0000000-0000-4000-8000-000000000007', 'Rita Rep'),
('e0000000-0000-4000-8000-000000000011', 'Otto Owner'),
('e0000000-0000-4000-8000-000000000012', 'Bea Both'),
('e0000000-0000-4000-8000-000000000013', 'Marc Manager'),
('e0000000-0000-4000-8000-000000000014', 'Mona Member'),
('e0000000-0000-4000-8000-000000000015', 'Vito Viewer'),
('e0000000-0000-4000-8000-000000000021', 'Nora Nobody')
on conflict do nothing;

-- Organizations: Alder Workshop (a...) and Birch Studio (b...) ------------------------------
insert into public.organizations (id, name, slug, currency, time_zone) values
('a0000000-0000-7000-8000-000000000001', 'Alder Workshop', 'alder', 'EUR', 'Europe/Berlin'),
('b0000000-0000-7000-8000-000000000001', 'Birch Studio', 'birch', 'USD', 'America/New_York')
on conflict do nothing;

insert into public.roles (organization_id, key, name, rank, builtin)
select
    o.id as organization_id,
    r.key,
    r.name,
    r.rank,
    r.builtin
from public.organizations as o
cross join (
    values
    ('owner', 'Owner', 100, true),
    ('admin', 'Administrator', 80, true),
    ('manager', 'Manager', 60, true),
    ('member', 'Member', 40, true),
    ('viewer', 'Viewer', 20, true),
    ('sales_rep', 'Sales representative', 30, false)
) as r (key, name, rank, builtin)
where
    o.id in ('a0000000-0000-7000-8000-000000000001', 'b0000000-0000-7000-8000-000000000001')
on conflict do nothing;

-- A sales representative sees and changes nothing but what is their own or their team's.
insert into public.role_permissions (organization_id, role, permission)
select
    r.organization_id,
    r.key,
    p.permission
from public.roles as r
cross join (
    values
    ('organization.read'), ('members.read'), ('roles.read'), ('teams.read'),
    ('pipelines.read'), ('tags.read'), ('custom_fields.read'),
    ('companies.read'),
    ('contacts.read_team'), ('contacts.read_own'), ('contacts.write_own'), ('contacts.delete_own'),
    ('deals.read_team'), ('deals.read_own'), ('deals.write_own'),
    ('activities.read_own'), ('activities.write_own'), ('activities.delete_own'),
    ('conversations.read_own'), ('conversations.write_own'),
    ('files.read_own'), ('files.write_own')
) as p (permission)
where
    r.key = 'sales_rep'
    and r.organization_id in (
        'a0000000-0000-7000-8000-000000000001', 'b0000000-0000-7000-8000-000000000001'
    )
on conflict do nothing;

insert into public.memberships (organization_id, user_id, role, status)
select
    o.id as organization_id,
    u.id as user_id,
    m.role,
    m.status
from (
    values
    ('alder', 'olga.owner@alder.example', 'owner', 'active'),
    ('alder', 'adam.admin@alder.example', 'admin', 'active'),
    ('alder', 'mara.manager@alder.example', 'manager', 'active'),
    ('alder', 'mika.member@alder.example', 'member', 'active'),
    ('alder', 'vera.viewer@alder.example', 'viewer', 'active'),
    ('alder', 'sten.suspended@alder.example', 'member', 'suspended'),
    ('alder', 'rita.rep@alder.example', 'sales_rep', 'active'),
    ('alder', 'bea.both@birch.example', 'member', 'active'),
    ('birch', 'otto.owner@birch.example', 'owner', 'active'),
    ('birch', 'bea.both@birch.example', 'admin', 'active'),
    ('birch', 'marc.manager@birch.example', 'manager', 'active'),
    ('birch', 'mona.member@birch.example', 'member', 'active'),
    ('birch', 'vito.viewer@birch.example', 'viewer', 'active')
) as m (slug, email, role, status)
inner join public.organizations as o on m.slug = o.slug
inner join auth.users as u on m.email = u.email
on conflict do nothing;

insert into public.user_settings (user_id, active_organization_id) values
('e0000000-0000-4000-8000-000000000012', 'b0000000-0000-7000-8000-000000000001')
on conflict do nothing;

insert into public.teams (organization_id, id, name) values
('a0000000-0000-7000-8000-000000000001', 'a1000000-0000-7000-8000-000000000001', 'North'),
('a0000000-0000-7000-8000-000000000001', 'a1000000-0000-7000-8000-000000000002', 'South'),
('b0000000-0000-7000-8000-000000000001', 'b1000000-0000-7000-8000-000000000001', 'Clients')
on conflict do nothing;

insert into public.team_members (organization_id, team_id, user_id)
select
    o.id as organization_id,
    t.id as team_id,
    u.id as user_id
from (
    values
    ('alder', 'North', 'mara.manager@alder.example'),
    ('alder', 'North', 'mika.member@alder.example'),
    ('alder', 'South', 'rita.rep@alder.example'),
    ('birch', 'Clients', 'marc.manager@birch.example'),
    ('birch', 'Clients', 'mona.member@birch.example')
) as m (slug, team, email)
inner join public.organizations as o on m.slug = o.slug
inner join public.teams as t on o.id = t.organization_id and m.team = t.name
inner join auth.users as u on m.email = u.email
on conflict do nothing;

-- Set-up: a pipeline, tags, custom fields ---------------------------------------------------
insert into public.pipelines (organization_id, id, name, is_default) values
('a0000000-0000-7000-8000-000000000001', 'a2000000-0000-7000-8000-000000000001', 'Sales', true),
('b0000000-0000-7000-8000-000000000001', 'b2000000-0000-7000-8000-000000000001', 'Sales', true)
on conflict do nothing;

insert into public.pipeline_stages (
    organization_id, pipeline_id, id, name, position, kind, probability
)
select
    p.organization_id,
    p.id as pipeline_id,
    -- a3... or b3..., numbered by position
    (left(p.id::text, 1) || '3000000-0000-7000-8000-00000000000' || s.position::text)::uuid,
    s.name,
    s.position,
    s.kind,
    s.probability
from public.pipelines as p
cross join (
    values
    (1, 'New', 'open', 10),
    (2, 'Qualified', 'open', 30),
    (3, 'Offer sent', 'open', 60),
    (4, 'Won', 'won', 100),
    (5, 'Lost', 'lost', 0)
) as s (position, name, kind, probability)
where p.id in ('a2000000-0000-7000-8000-000000000001', 'b2000000-0000-7000-8000-000000000001')
on conflict do nothing;

insert into public.tags (organization_id, id, name, color)
select
    o.id as organization_id,
    t.id::uuid,
    t.name,
    t.color
from (
    values
    ('alder', 'a4000000-0000-7000-8000-000000000001', 'Key account', '#b45309'),
    ('alder', 'a4000000-0000-7000-8000-000000000002', 'Trade fair', '#0f766e'),
    ('birch', 'b4000000-0000-7000-8000-000000000001', 'Press', '#4338ca')
) as t (slug, id, name, color)
inner join public.organizations as o on t.slug = o.slug
on conflict do nothing;

insert into public.custom_field_definitions (
    organization_id, id, object, key, label, type, options
)
select
    o.id as organization_id,
    f.id::uuid,
    f.object,
    f.key,
    f.label,
    f.type,
    f.options::jsonb
from (
    values
    (
        'alder', 'a5000000-0000-7000-8000-000000000001', 'contact', 'newsletter', 'Newsletter',
        'boolean', null
    ),
    (
        'alder', 'a5000000-0000-7000-8000-000000000002', 'company', 'size', 'Size', 'select',
        '["small", "medium", "large"]'
    ),
    (
        'birch', 'b5000000-0000-7000-8000-000000000001', 'contact', 'birthday', 'Birthday', 'date',
        null
    )
) as f (slug, id, object, key, label, type, options)
inner join public.organizations as o on f.slug = o.slug
on conflict do nothing;

-- Records. Each belongs to somebody, to a team, or to nobody yet ----------------------------
insert into public.companies (
    organization_id, id, name, status, domain, city, country, custom_fields, owner_id, team_id
)
select
    o.id as organization_id,
    c.id::uuid,
    c.name,
    c.status,
    c.domain,
    c.city,
    c.country,
    c.custom_fields::jsonb,
    u.id as owner_id,
    t.id as team_id
from (
    values
    (
        'alder', 'a6000000-0000-7000-8000-000000000001', 'Harbour Mills', 'customer',
        'harbour-mills.example', 'Hamburg', 'DE', '{"size": "large"}',
        'mika.member@alder.example', 'North'
    ),
    (
        'alder', 'a6000000-0000-7000-8000-000000000002', 'Quarry & Sons', 'prospect',
        'quarry.example', 'Graz', 'AT', '{}', 'rita.rep@alder.example', 'South'
    ),
    (
        'alder', 'a6000000-0000-7000-8000-000000000003', 'Lantern Works', 'prospect',
        'lantern.example', 'Basel', 'CH', '{}', null, null
    ),
    (
        'birch', 'b6000000-0000-7000-8000-000000000001', 'Copper Theatre', 'customer',
        'copper-theatre.example', 'Boston', 'US', '{}', 'mona.member@birch.example', 'Clients'
    ),
    (
        'birch', 'b6000000-0000-7000-8000-000000000002', 'Harbour Mills', 'supplier',
        'harbour-mills.example', 'Hamburg', 'DE', '{}', null, null
    )
) as c (slug, id, name, status, domain, city, country, custom_fields, owner, team)
inner join public.organizations as o on c.slug = o.slug
left join auth.users as u on c.owner = u.email
left join public.teams as t on o.id = t.organization_id and c.team = t.name
on conflict do nothing;

insert into public.contacts (
    organization_id, id, company_id, first_name, last_name, email, phone, job_title, status,
    custom_fields, owner_id, team_id
)
select
    o.id as organization_id,
    c.id::uuid,
    k.id as company_id,
    c.first_name,
    c.last_name,
    c.email,
    c.phone,
    c.job_title,
    c.status,
    c.custom_fields::jsonb,
    u.id as owner_id,
    t.id as team_id
from (
    values
    (
        'alder', 'a7000000-0000-7000-8000-000000000001', 'Harbour Mills', 'Ida', 'Brandt',
        'ida@harbour-mills.example', '+4940555010', 'Head of purchasing', 'customer',
        '{"newsletter": true}', 'mika.member@alder.example', 'North'
    ),
    (
        'alder', 'a7000000-0000-7000-8000-000000000002', 'Harbour Mills', 'Jon', 'Ebert',
        'jon@harbour-mills.example', null, 'Engineer', 'lead', '{}',
        'mara.manager@alder.example', 'North'
    ),
    (
        'alder', 'a7000000-0000-7000-8000-000000000003', 'Quarry & Sons', 'Kaia', 'Holm',
        'kaia@quarry.example', '+43316555020', 'Owner', 'qualified', '{}',
        'rita.rep@alder.example', 'South'
    ),
    (
        'alder', 'a7000000-0000-7000-8000-000000000004', null, 'Luis', 'Prado',
        'luis.prado@mail.example', null, null, 'lead', '{}', null, null
    ),
    (
        'birch', 'b7000000-0000-7000-8000-000000000001', 'Copper Theatre', 'Nell', 'Archer',
        'nell@copper-theatre.example', '+16175550130', 'Producer', 'customer',
        '{"birthday": "1980-05-17"}', 'mona.member@birch.example', 'Clients'
    ),
    (
        -- The same person as in the other organization: neither may learn of the other.
        'birch', 'b7000000-0000-7000-8000-000000000002', 'Harbour Mills', 'Ida', 'Brandt',
        'ida@harbour-mills.example', '+4940555010', 'Head of purchasing', 'lead', '{}', null, null
    )
)
    as c (
        slug, id, company, first_name, last_name, email, phone, job_title, status, custom_fields,
        owner, team
    )
inner join public.organizations as o on c.slug = o.slug
left join public.companies as k on o.id = k.organization_id and c.company = k.name
left join auth.users as u on c.owner = u.email
left join public.teams as t on o.id = t.organization_id and c.team = t.name
on conflict do nothing;

insert into public.deals (
    organization_id, id, pipeline_id, stage_id, company_id, name, amount_minor,
    expected_close_on, owner_id, team_id
)
select
    o.id as organization_id,
    d.id::uuid,
    s.pipeline_id,
    s.id as stage_id,
    k.id as company_id,
    d.name,
    d.amount_minor,
    d.expected_close_on::date,
    u.id as owner_id,
    t.id as team_id
from (
    values
    (
        'alder', 'a8000000-0000-7000-8000-000000000001', 'Offer sent', 'Harbour Mills',
        'New conveyor', 4800000, '2026-12-15', 'mika.member@alder.example', 'North'
    ),
    (
        'alder', 'a8000000-0000-7000-8000-000000000002', 'New', 'Quarry & Sons',
        'Stone saw', 1250000, '2027-02-01', 'rita.rep@alder.example', 'South'
    ),
    (
        'alder', 'a8000000-0000-7000-8000-000000000003', 'Won', 'Harbour Mills',
        'Spare parts', 90000, null, null, null
    ),
    (
        'birch', 'b8000000-0000-7000-8000-000000000001', 'Qualified', 'Copper Theatre',
        'Season poster', 720000, '2027-01-10', 'mona.member@birch.example', 'Clients'
    )
) as d (slug, id, stage, company, name, amount_minor, expected_close_on, owner, team)
inner join public.organizations as o on d.slug = o.slug
inner join public.pipeline_stages as s on o.id = s.organization_id and d.stage = s.name
inner join public.pipelines as p
    on s.organization_id = p.organization_id and s.pipeline_id = p.id and p.is_default
left join public.companies as k on o.id = k.organization_id and d.company = k.name
left join auth.users as u on d.owner = u.email
left join public.teams as t on o.id = t.organization_id and d.team = t.name
on conflict do nothing;

insert into public.deal_contacts (organization_id, deal_id, contact_id, role)
select
    d.organization_id,
    d.id as deal_id,
    c.id as contact_id,
    m.role
from (
    values
    ('New conveyor', 'ida@harbour-mills.example', 'decision_maker'),
    ('New conveyor', 'jon@harbour-mills.example', 'user'),
    ('Stone saw', 'kaia@quarry.example', 'decision_maker'),
    ('Season poster', 'nell@copper-theatre.example', 'champion')
) as m (deal, email, role)
inner join public.deals as d on m.deal = d.name
inner join public.contacts as c on d.organization_id = c.organization_id and m.email = c.email
where
    d.organization_id in (
        'a0000000-0000-7000-8000-000000000001', 'b0000000-0000-7000-8000-000000000001'
    )
on conflict do nothing;

insert into public.contact_tags (organization_id, contact_id, tag_id) values
(
    'a0000000-0000-7000-8000-000000000001',
    'a7000000-0000-7000-8000-000000000001',
    'a4000000-0000-7000-8000-000000000001'
),
(
    'b0000000-0000-7000-8000-000000000001',
    'b7000000-0000-7000-8000-000000000001',
    'b4000000-0000-7000-8000-000000000001'
)
on conflict do nothing;

insert into public.company_tags (organization_id, company_id, tag_id) values
(
    'a0000000-0000-7000-8000-000000000001',
    'a6000000-0000-7000-8000-000000000001',
    'a4000000-0000-7000-8000-000000000001'
)
on conflict do nothing;

insert into public.deal_tags (organization_id, deal_id, tag_id) values
(
    'a0000000-0000-7000-8000-000000000001',
    'a8000000-0000-7000-8000-000000000002',
    'a4000000-0000-7000-8000-000000000002'
)
on conflict do nothing;

insert into public.activities (
    organization_id, id, kind, subject, body_html, due_at, direction, duration_seconds,
    contact_id, deal_id, owner_id, team_id
)
select
    o.id as organization_id,
    a.id::uuid,
    a.kind,
    a.subject,
    a.body_html,
    a.due_at::timestamptz,
    a.direction,
    a.duration_seconds,
    c.id as contact_id,
    d.id as deal_id,
    u.id as owner_id,
    t.id as team_id
from (
    values
    (
        'alder', 'a9000000-0000-7000-8000-000000000001', 'task', 'Send the drawings', null,
        '2026-12-01 09:00+00', null, null, 'ida@harbour-mills.example', 'New conveyor',
        'mika.member@alder.example', 'North'
    ),
    (
        'alder', 'a9000000-0000-7000-8000-000000000002', 'note', 'Visit to the mill',
        '<p>They run <strong>three</strong> shifts.</p>', null, null, null,
        'jon@harbour-mills.example', 'New conveyor', 'mara.manager@alder.example', 'North'
    ),
    (
        'alder', 'a9000000-0000-7000-8000-000000000003', 'call', 'First call', null, null,
        'outbound', 540, 'kaia@quarry.example', 'Stone saw', 'rita.rep@alder.example', 'South'
    ),
    (
        'birch', 'b9000000-0000-7000-8000-000000000001', 'meeting', 'Poster sketches', null,
        '2026-12-03 15:00+00', null, null, 'nell@copper-theatre.example', 'Season poster',
        'mona.member@birch.example', 'Clients'
    )
)
    as a (
        slug, id, kind, subject, body_html, due_at, direction, duration_seconds, email, deal,
        owner, team
    )
inner join public.organizations as o on a.slug = o.slug
left join public.contacts as c on o.id = c.organization_id and a.email = c.email
left join public.deals as d on o.id = d.organization_id and a.deal = d.name
left join auth.users as u on a.owner = u.email
left join public.teams as t on o.id = t.organization_id and a.team = t.name
on conflict do nothing;

insert into public.call_transcripts (
    organization_id, id, activity_id, language, content_html
)
values
(
    'a0000000-0000-7000-8000-000000000001',
    'ab000000-0000-7000-8000-000000000001',
    'a9000000-0000-7000-8000-000000000003',
    'de',
    '<p>Rita: Good morning.</p><p>Kaia: We need a saw by spring.</p>'
)
on conflict do nothing;

insert into public.conversations (
    organization_id, id, channel, subject, contact_id, deal_id, owner_id, team_id
)
select
    o.id as organization_id,
    v.id::uuid,
    v.channel,
    v.subject,
    c.id as contact_id,
    d.id as deal_id,
    u.id as owner_id,
    t.id as team_id
from (
    values
    (
        'alder', 'ac000000-0000-7000-8000-000000000001', 'email', 'Offer for the conveyor',
        'ida@harbour-mills.example', 'New conveyor', 'mika.member@alder.example', 'North'
    ),
    (
        'alder', 'ac000000-0000-7000-8000-000000000002', 'sms', null, 'kaia@quarry.example',
        'Stone saw', 'rita.rep@alder.example', 'South'
    ),
    (
        'birch', 'bc000000-0000-7000-8000-000000000001', 'email', 'Poster: second draft',
        'nell@copper-theatre.example', 'Season poster', 'mona.member@birch.example', 'Clients'
    )
) as v (slug, id, channel, subject, email, deal, owner, team)
inner join public.organizations as o on v.slug = o.slug
left join public.contacts as c on o.id = c.organization_id and v.email = c.email
left join public.deals as d on o.id = d.organization_id and v.deal = d.name
left join auth.users as u on v.owner = u.email
left join public.teams as t on o.id = t.organization_id and v.team = t.name
on conflict do nothing;

insert into public.messages (
    organization_id, id, conversation_id, direction, sender_name, sender_address, body_html,
    body_text, sent_at
)
values
(
    'a0000000-0000-7000-8000-000000000001',
    'ad000000-0000-7000-8000-000000000001',
    'ac000000-0000-7000-8000-000000000001',
    'outbound',
    'Mika Member',
    'mika.member@alder.example',
    '<p>Dear Ida, our offer is attached.</p>',
    null,
    '2026-11-02 09:30+00'
),
(
    'a0000000-0000-7000-8000-000000000001',
    'ad000000-0000-7000-8000-000000000002',
    'ac000000-0000-7000-8000-000000000001',
    'inbound',
    'Ida Brandt',
    'ida@harbour-mills.example',
    '<p>Thank you, I shall look at it this week.</p>',
    null,
    '2026-11-02 14:05+00'
),
(
    'a0000000-0000-7000-8000-000000000001',
    'ad000000-0000-7000-8000-000000000003',
    'ac000000-0000-7000-8000-000000000002',
    'inbound',
    'Kaia Holm',
    '+43316555020',
    null,
    'Can you call me tomorrow?',
    '2026-11-05 16:20+00'
),
(
    'b0000000-0000-7000-8000-000000000001',
    'bd000000-0000-7000-8000-000000000001',
    'bc000000-0000-7000-8000-000000000001',
    'inbound',
    'Nell Archer',
    'nell@copper-theatre.example',
    '<p>The second draft is lovely.</p>',
    null,
    '2026-11-04 18:45+00'
)
on conflict do nothing;

insert into public.files (
    organization_id, id, path, name, content_type, size_bytes, deal_id, owner_id, team_id
)
values
(
    'a0000000-0000-7000-8000-000000000001',
    'ae000000-0000-7000-8000-000000000001',
    'a0000000-0000-7000-8000-000000000001/ae000000-0000-7000-8000-000000000001/offer.pdf',
    'offer.pdf',
    'application/pdf',
    48213,
    'a8000000-0000-7000-8000-000000000001',
    'e0000000-0000-4000-8000-000000000004',
    'a1000000-0000-7000-8000-000000000001'
),
(
    'b0000000-0000-7000-8000-000000000001',
    'be000000-0000-7000-8000-000000000001',
    'b0000000-0000-7000-8000-000000000001/be000000-0000-7000-8000-000000000001/draft.png',
    'draft.png',
    'image/png',
    912004,
    'b8000000-0000-7000-8000-000000000001',
    'e0000000-0000-4000-8000-000000000014',
    'b1000000-0000-7000-8000-000000000001'
)
on conflict do nothing;

-- A finished import with one row that failed -------------------------------------------------
insert into public.import_jobs (
    organization_id, id, object, status, mapping, total_rows, imported_rows, failed_rows,
    created_by, started_at, finished_at
)
values
(
    'a0000000-0000-7000-8000-000000000001',
    'af000000-0000-7000-8000-000000000001',
    'contact',
    'done',
    '{"E-mail": "email", "Name": "last_name"}',
    2,
    1,
    1,
    'e0000000-0000-4000-8000-000000000003',
    '2026-11-01 10:00+00',
    '2026-11-01 10:00+00'
)
on conflict do nothing;

insert into public.import_rows (
    organization_id, import_job_id, row_number, status, data, record_id, error_code, error_message
)
values
(
    'a0000000-0000-7000-8000-000000000001',
    'af000000-0000-7000-8000-000000000001',
    1,
    'imported',
    '{"E-mail": "luis.prado@mail.example", "Name": "Prado"}',
    'a7000000-0000-7000-8000-000000000004',
    null,
    null
),
(
    'a0000000-0000-7000-8000-000000000001',
    'af000000-0000-7000-8000-000000000001',
    2,
    'failed',
    '{"E-mail": "no address", "Name": "Unknown"}',
    null,
    'contacts_email_check',
    'this is not an e-mail address'
)
on conflict do nothing;
