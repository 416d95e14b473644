set local lock_timeout = '4s';

-- Companies ---------------------------------------------------------------------------------
create table public.companies (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    name text not null,
    status text not null default 'prospect',
    domain text,
    website_url text,
    industry text,
    email text,
    phone text,
    employee_count bigint,
    description text,
    street text,
    city text,
    region text,
    postal_code text,
    country text,
    custom_fields jsonb not null default '{}',
    -- Whoever creates a record owns it unless they say otherwise.
    owner_id uuid default auth.uid(),
    team_id uuid,
    -- Clients have no INSERT privilege on it, so it is always the caller.
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    constraint companies_pkey primary key (organization_id, id),
    constraint companies_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint companies_owner_fkey
    foreign key (organization_id, owner_id)
    references public.memberships (organization_id, user_id) on delete set null (owner_id),
    constraint companies_team_fkey
    foreign key (organization_id, team_id)
    references public.teams (organization_id, id) on delete set null (team_id),
    constraint companies_name_check check (
        char_length(name) between 1 and 200 and name = btrim(name)
    ),
    constraint companies_status_check check (
        status in ('prospect', 'customer', 'partner', 'supplier', 'former')
    ),
    -- Stored lower-cased: citext would lose its index below row level security.
    constraint companies_domain_check check (
        domain ~ '^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$'
        and char_length(domain) <= 253
    ),
    constraint companies_website_url_check check (
        website_url ~ '^https?://[^[:space:]<>"]+$' and char_length(website_url) <= 2048
    ),
    constraint companies_industry_check check (char_length(industry) between 1 and 120),
    constraint companies_email_check check (
        email = lower(email)
        and email ~ '^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:]]+$'
        and char_length(email) <= 254
    ),
    constraint companies_phone_check check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    constraint companies_employee_count_check check (employee_count between 0 and 100000000),
    constraint companies_description_check check (char_length(description) <= 10000),
    constraint companies_street_check check (char_length(street) <= 300),
    constraint companies_city_check check (char_length(city) <= 120),
    constraint companies_region_check check (char_length(region) <= 120),
    constraint companies_postal_code_check check (char_length(postal_code) <= 20),
    constraint companies_country_check check (country ~ '^[A-Z]{2}$'),
    constraint companies_custom_fields_check check (
        jsonb_typeof(custom_fields) = 'object' and octet_length(custom_fields::text) <= 16384
    )
);
comment on table public.companies is 'An organization one does business with.';
comment on column public.companies.domain is 'The main web domain, lower-cased.';
comment on column public.companies.phone is 'E.164: a plus sign and digits.';
comment on column public.companies.country is 'ISO 3166-1 alpha-2.';
comment on column public.companies.custom_fields is
'Values by field key, checked against custom_field_definitions.';
comment on column public.companies.owner_id is 'The member responsible; the `_own` permissions.';
comment on column public.companies.team_id is 'The team responsible; the `_team` permissions.';
comment on column public.companies.deleted_at is
'In the bin since then. Set and cleared only by soft_delete() and restore().';
create index companies_owner_idx
on public.companies (organization_id, owner_id, created_at desc, id)
where owner_id is not null;
create index companies_team_idx
on public.companies (organization_id, team_id, created_at desc, id)
where team_id is not null;
create index companies_status_idx
on public.companies (organization_id, status, created_at desc, id) include (owner_id, team_id)
where deleted_at is null;
create index companies_domain_idx on public.companies (organization_id, domain)
where domain is not null;
-- Lists and counts need nothing else: the policy reads the organization, the owner and the team.
-- Here and below it is made last, and its name sorts last for whoever restores a dump: below a
-- policy the planner takes it and the wider ones of status to cost the same, and then the newest.
create index companies_timeline_idx
on public.companies (organization_id, created_at desc, id) include (owner_id, team_id)
where deleted_at is null;
call private.lock_down('public.companies');

create trigger tg_companies__immutable_keys
before update on public.companies
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
)
execute function private.tg_immutable_keys();

create trigger tg_companies__touch_updated_at
before update on public.companies
for each row
execute function private.tg_touch_updated_at();

-- Contacts ----------------------------------------------------------------------------------
create table public.contacts (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    company_id uuid,
    first_name text,
    last_name text,
    full_name text not null generated always as (
        btrim(coalesce(first_name, '') || ' ' || coalesce(last_name, ''))
    ) stored,
    email text,
    phone text,
    job_title text,
    status text not null default 'lead',
    source text,
    website_url text,
    description text,
    city text,
    country text,
    do_not_contact boolean not null default false,
    custom_fields jsonb not null default '{}',
    owner_id uuid default auth.uid(),
    team_id uuid,
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    constraint contacts_pkey primary key (organization_id, id),
    constraint contacts_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint contacts_company_fkey
    foreign key (organization_id, company_id)
    references public.companies (organization_id, id) on delete set null (company_id),
    constraint contacts_owner_fkey
    foreign key (organization_id, owner_id)
    references public.memberships (organization_id, user_id) on delete set null (owner_id),
    constraint contacts_team_fkey
    foreign key (organization_id, team_id)
    references public.teams (organization_id, id) on delete set null (team_id),
    constraint contacts_first_name_check check (
        char_length(first_name) between 1 and 100 and first_name = btrim(first_name)
    ),
    constraint contacts_last_name_check check (
        char_length(last_name) between 1 and 100 and last_name = btrim(last_name)
    ),
    -- Somebody nobody could tell apart is not a contact.
    constraint contacts_identity_check check (
        coalesce(first_name, last_name, email, phone) is not null
    ),
    constraint contacts_email_check check (
        email = lower(email)
        and email ~ '^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:]]+$'
        and char_length(email) <= 254
    ),
    constraint contacts_phone_check check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    constraint contacts_job_title_check check (char_length(job_title) between 1 and 160),
    constraint contacts_status_check check (
        status in ('lead', 'qualified', 'customer', 'inactive')
    ),
    constraint contacts_source_check check (char_length(source) between 1 and 80),
    constraint contacts_website_url_check check (
        website_url ~ '^https?://[^[:space:]<>"]+$' and char_length(website_url) <= 2048
    ),
    constraint contacts_description_check check (char_length(description) <= 10000),
    constraint contacts_city_check check (char_length(city) <= 120),
    constraint contacts_country_check check (country ~ '^[A-Z]{2}$'),
    constraint contacts_custom_fields_check check (
        jsonb_typeof(custom_fields) = 'object' and octet_length(custom_fields::text) <= 16384
    )
);
comment on table public.contacts is 'A person one does business with.';
comment on column public.contacts.full_name is 'First and last name; kept by the database.';
comment on column public.contacts.email is
'Lower-cased. Not unique: the same person may come in twice until merge_contacts().';
comment on column public.contacts.phone is 'E.164: a plus sign and digits.';
comment on column public.contacts.source is 'Where the contact came from, in one''s own words.';
comment on column public.contacts.do_not_contact is 'The person asked to be left alone.';
comment on column public.contacts.custom_fields is
'Values by field key, checked against custom_field_definitions.';
comment on column public.contacts.owner_id is 'The member responsible; the `_own` permissions.';
comment on column public.contacts.team_id is 'The team responsible; the `_team` permissions.';
comment on column public.contacts.deleted_at is
'In the bin since then. Set and cleared only by soft_delete() and restore().';
create index contacts_owner_idx
on public.contacts (organization_id, owner_id, created_at desc, id)
where owner_id is not null;
create index contacts_team_idx
on public.contacts (organization_id, team_id, created_at desc, id)
where team_id is not null;
create index contacts_company_idx
on public.contacts (organization_id, company_id, created_at desc, id)
where company_id is not null;
create index contacts_status_idx
on public.contacts (organization_id, status, created_at desc, id) include (owner_id, team_id)
where deleted_at is null;
create index contacts_email_idx on public.contacts (organization_id, email)
where email is not null;
create index contacts_timeline_idx
on public.contacts (organization_id, created_at desc, id) include (owner_id, team_id)
where deleted_at is null;
call private.lock_down('public.contacts');

create trigger tg_contacts__immutable_keys
before update on public.contacts
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
)
execute function private.tg_immutable_keys();

create trigger tg_contacts__touch_updated_at
before update on public.contacts
for each row
execute function private.tg_touch_updated_at();
