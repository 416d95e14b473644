-- Each policy asks in which organizations the caller holds a permission: of the seats, which the
-- plan of the statement itself reads, and where they say nothing, of the authorizer.
--
-- Records have an owner and a team, and three reaches: everything, one's teams', one's own. The
-- first condition of their policies is the union of the three, so that one index range on
-- (organization_id, ...) finds the candidates. The second lets pass what lies in an organization
-- that the caller reaches as a whole, and asks for the owner and the team of the rest. Without IS
-- TRUE the planner would take the alternatives for an OR of index conditions and give up the order
-- of the index: the latest 50 rows of a large organization then cost a sort of all.
--
-- A new row is at hand and needs no index, so WITH CHECK is the second condition alone: it isolates
-- without the first. What may be changed may be changed into what may be changed.

-- Companies ----------------------------------------------------------------------------------
call private.lock_down('public.companies');
grant select, delete on table public.companies to authenticated;
-- Not deleted_at: the bin has functions of its own. Not created_by: it is always the caller.
grant insert (
    organization_id, id, name, status, domain, website_url, industry, email, phone, employee_count,
    description, street, city, region, postal_code, country, custom_fields, owner_id, team_id
) on table public.companies to authenticated;
grant update (
    name, status, domain, website_url, industry, email, phone, employee_count, description, street,
    city, region, postal_code, country, custom_fields, owner_id, team_id
) on table public.companies to authenticated;
grant select, insert, update, delete on table public.companies to service_role;

create policy select_member on public.companies
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'companies.read', 'companies.read_team', 'companies.read_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'companies.read', 'companies.read_team', 'companies.read_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('companies.read')
            )
        )
        or private.spans(
            (select private.my_span('companies.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.companies is
'One sees all companies, those of one''s teams or one''s own, as one''s role says.';

create policy insert_member on public.companies
for insert to authenticated
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('companies.write')
        )
    )
    or private.spans(
        (select private.my_span('companies.write')), organization_id, team_id, owner_id
    )
);
comment on policy insert_member on public.companies is
'One adds companies for anybody, for one''s teams or as one''s own, as one''s role says.';

create policy update_member on public.companies
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'companies.write', 'companies.write_team', 'companies.write_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'companies.write', 'companies.write_team', 'companies.write_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('companies.write')
            )
        )
        or private.spans(
            (select private.my_span('companies.write')), organization_id, team_id, owner_id
        )
    ) is true
)
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('companies.write')
        )
    )
    or private.spans(
        (select private.my_span('companies.write')), organization_id, team_id, owner_id
    )
);
comment on policy update_member on public.companies is
'One changes companies, and may not hand them beyond the reach of one''s role.';

create policy delete_member on public.companies
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'companies.delete', 'companies.delete_team', 'companies.delete_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'companies.delete', 'companies.delete_team', 'companies.delete_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('companies.delete')
            )
        )
        or private.spans(
            (select private.my_span('companies.delete')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy delete_member on public.companies is
'One deletes companies for good within the reach of one''s role.';

-- Contacts -----------------------------------------------------------------------------------
call private.lock_down('public.contacts');
grant select, delete on table public.contacts to authenticated;
grant insert (
    organization_id, id, company_id, first_name, last_name, email, phone, job_title, status, source,
    website_url, description, city, country, do_not_contact, custom_fields, owner_id, team_id
) on table public.contacts to authenticated;
grant update (
    company_id, first_name, last_name, email, phone, job_title, status, source, website_url,
    description, city, country, do_not_contact, custom_fields, owner_id, team_id
) on table public.contacts to authenticated;
grant select, insert, update, delete on table public.contacts to service_role;

create policy select_member on public.contacts
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'contacts.read', 'contacts.read_team', 'contacts.read_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids('contacts.read', 'contacts.read_team', 'contacts.read_own')
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('contacts.read')
            )
        )
        or private.spans(
            (select private.my_span('contacts.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.contacts is
'One sees all contacts, those of one''s teams or one''s own, as one''s role says.';

create policy insert_member on public.contacts
for insert to authenticated
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('contacts.write')
        )
    )
    or private.spans(
        (select private.my_span('contacts.write')), organization_id, team_id, owner_id
    )
);
comment on policy insert_member on public.contacts is
'One adds contacts for anybody, for one''s teams or as one''s own, as one''s role says.';

create policy update_member on public.contacts
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'contacts.write', 'contacts.write_team', 'contacts.write_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'contacts.write', 'contacts.write_team', 'contacts.write_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('contacts.write')
            )
        )
        or private.spans(
            (select private.my_span('contacts.write')), organization_id, team_id, owner_id
        )
    ) is true
)
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('contacts.write')
        )
    )
    or private.spans(
        (select private.my_span('contacts.write')), organization_id, team_id, owner_id
    )
);
comment on policy update_member on public.contacts is
'One changes contacts, and may not hand them beyond the reach of one''s role.';

create policy delete_member on public.contacts
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'contacts.delete', 'contacts.delete_team', 'contacts.delete_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'contacts.delete', 'contacts.delete_team', 'contacts.delete_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('contacts.delete')
            )
        )
        or private.spans(
            (select private.my_span('contacts.delete')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy delete_member on public.contacts is
'One deletes contacts for good within the reach of one''s role.';

-- Pipelines ----------------------------------------------------------------------------------
call private.lock_down('public.pipelines');
grant select, delete on table public.pipelines to authenticated;
grant insert (
    organization_id, id, name, position, is_default
) on table public.pipelines to authenticated;
grant update (name, position, is_default) on table public.pipelines to authenticated;
grant select, insert, update, delete on table public.pipelines to service_role;

create policy select_member on public.pipelines
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('pipelines.read')
                ),
                '{}'
            ),
            array(select private.org_ids('pipelines.read'))
        )
    )
);
comment on policy select_member on public.pipelines is
'Those who hold pipelines.read see pipelines.';

create policy insert_member on public.pipelines
for insert to authenticated
with check (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('pipelines.write')
                ),
                '{}'
            ),
            array(select private.org_ids('pipelines.write'))
        )
    )
);
comment on policy insert_member on public.pipelines is
'Those who hold pipelines.write add pipelines.';

create policy update_member on public.pipelines
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('pipelines.write')
                ),
                '{}'
            ),
            array(select private.org_ids('pipelines.write'))
        )
    )
);
comment on policy update_member on public.pipelines is
'Those who hold pipelines.write change pipelines.';

create policy delete_member on public.pipelines
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('pipelines.delete')
                ),
                '{}'
            ),
            array(select private.org_ids('pipelines.delete'))
        )
    )
);
comment on policy delete_member on public.pipelines is
'Those who hold pipelines.delete delete pipelines.';

-- Pipeline stages ----------------------------------------------------------------------------
call private.lock_down('public.pipeline_stages');
grant select, delete on table public.pipeline_stages to authenticated;
-- What a stage means is fixed once deals may be in it.
grant insert (
    organization_id, id, pipeline_id, name, position, kind, probability
) on table public.pipeline_stages to authenticated;
grant update (name, position, probability) on table public.pipeline_stages to authenticated;
grant select, insert, update, delete on table public.pipeline_stages to service_role;

create policy select_member on public.pipeline_stages
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('pipelines.read')
                ),
                '{}'
            ),
            array(select private.org_ids('pipelines.read'))
        )
    )
);
comment on policy select_member on public.pipeline_stages is
'Those who hold pipelines.read see stages.';

create policy insert_member on public.pipeline_stages
for insert to authenticated
with check (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('pipelines.write')
                ),
                '{}'
            ),
            array(select private.org_ids('pipelines.write'))
        )
    )
);
comment on policy insert_member on public.pipeline_stages is
'Those who hold pipelines.write add stages.';

create policy update_member on public.pipeline_stages
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('pipelines.write')
                ),
                '{}'
            ),
            array(select private.org_ids('pipelines.write'))
        )
    )
);
comment on policy update_member on public.pipeline_stages is
'Those who hold pipelines.write change stages.';

create policy delete_member on public.pipeline_stages
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('pipelines.delete')
                ),
                '{}'
            ),
            array(select private.org_ids('pipelines.delete'))
        )
    )
);
comment on policy delete_member on public.pipeline_stages is
'Those who hold pipelines.delete delete stages.';

-- Deals --------------------------------------------------------------------------------------
call private.lock_down('public.deals');
grant select, delete on table public.deals to authenticated;
-- Status and dates follow the stage.
grant insert (
    organization_id, id, pipeline_id, stage_id, company_id, name, amount_minor, currency,
    expected_close_on, lost_reason, description, custom_fields, owner_id, team_id
) on table public.deals to authenticated;
grant update (
    pipeline_id, stage_id, company_id, name, amount_minor, currency, expected_close_on, lost_reason,
    description, custom_fields, owner_id, team_id
) on table public.deals to authenticated;
grant select, insert, update, delete on table public.deals to service_role;

create policy select_member on public.deals
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'deals.read', 'deals.read_team', 'deals.read_own'
                    )
                ),
                '{}'
            ),
            array(select private.org_ids('deals.read', 'deals.read_team', 'deals.read_own'))
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('deals.read')
            )
        )
        or private.spans(
            (select private.my_span('deals.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.deals is
'One sees all deals, those of one''s teams or one''s own, as one''s role says.';

create policy insert_member on public.deals
for insert to authenticated
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('deals.write')
        )
    )
    or private.spans(
        (select private.my_span('deals.write')), organization_id, team_id, owner_id
    )
);
comment on policy insert_member on public.deals is
'One adds deals for anybody, for one''s teams or as one''s own, as one''s role says.';

create policy update_member on public.deals
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'deals.write', 'deals.write_team', 'deals.write_own'
                    )
                ),
                '{}'
            ),
            array(select private.org_ids('deals.write', 'deals.write_team', 'deals.write_own'))
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('deals.write')
            )
        )
        or private.spans(
            (select private.my_span('deals.write')), organization_id, team_id, owner_id
        )
    ) is true
)
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('deals.write')
        )
    )
    or private.spans(
        (select private.my_span('deals.write')), organization_id, team_id, owner_id
    )
);
comment on policy update_member on public.deals is
'One changes deals, and may not hand them beyond the reach of one''s role.';

create policy delete_member on public.deals
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'deals.delete', 'deals.delete_team', 'deals.delete_own'
                    )
                ),
                '{}'
            ),
            array(select private.org_ids('deals.delete', 'deals.delete_team', 'deals.delete_own'))
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('deals.delete')
            )
        )
        or private.spans(
            (select private.my_span('deals.delete')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy delete_member on public.deals is
'One deletes deals for good within the reach of one''s role.';

-- Deal stage history: written by the database alone ------------------------------------------
call private.lock_down('public.deal_stage_history');
grant select on table public.deal_stage_history to authenticated;
grant select, insert, update, delete on table public.deal_stage_history to service_role;

create policy select_member on public.deal_stage_history
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'deals.read', 'deals.read_team', 'deals.read_own'
                    )
                ),
                '{}'
            ),
            array(select private.org_ids('deals.read', 'deals.read_team', 'deals.read_own'))
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('deals.read')
            )
        )
        or private.spans(
            (select private.my_span('deals.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.deal_stage_history is
'One sees the history of the deals one sees.';

-- Deal contacts ------------------------------------------------------------------------------
call private.lock_down('public.deal_contacts');
grant select, delete on table public.deal_contacts to authenticated;
grant insert (
    organization_id, deal_id, contact_id, role
) on table public.deal_contacts to authenticated;
grant update (role) on table public.deal_contacts to authenticated;
grant select, insert, update, delete on table public.deal_contacts to service_role;

create policy select_member on public.deal_contacts
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'deals.read', 'deals.read_team', 'deals.read_own'
                    )
                ),
                '{}'
            ),
            array(select private.org_ids('deals.read', 'deals.read_team', 'deals.read_own'))
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('deals.read')
            )
        )
        or private.spans(
            (select private.my_span('deals.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.deal_contacts is
'One sees the participants of the deals one sees.';

create policy insert_member on public.deal_contacts
for insert to authenticated
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('deals.write')
        )
    )
    or private.spans(
        (select private.my_span('deals.write')), organization_id, team_id, owner_id
    )
);
comment on policy insert_member on public.deal_contacts is
'One adds participants to the deals one may change.';

create policy update_member on public.deal_contacts
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'deals.write', 'deals.write_team', 'deals.write_own'
                    )
                ),
                '{}'
            ),
            array(select private.org_ids('deals.write', 'deals.write_team', 'deals.write_own'))
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('deals.write')
            )
        )
        or private.spans(
            (select private.my_span('deals.write')), organization_id, team_id, owner_id
        )
    ) is true
)
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('deals.write')
        )
    )
    or private.spans(
        (select private.my_span('deals.write')), organization_id, team_id, owner_id
    )
);
comment on policy update_member on public.deal_contacts is
'One changes participants of the deals one may change.';

create policy delete_member on public.deal_contacts
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'deals.write', 'deals.write_team', 'deals.write_own'
                    )
                ),
                '{}'
            ),
            array(select private.org_ids('deals.write', 'deals.write_team', 'deals.write_own'))
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('deals.write')
            )
        )
        or private.spans(
            (select private.my_span('deals.write')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy delete_member on public.deal_contacts is
'One removes participants from the deals one may change.';

-- Activities ---------------------------------------------------------------------------------
call private.lock_down('public.activities');
grant select, delete on table public.activities to authenticated;
grant insert (
    organization_id, id, kind, status, priority, subject, body_html, due_at, starts_at, ends_at,
    direction, outcome, duration_seconds, location, meeting_url, company_id, contact_id, deal_id,
    custom_fields, owner_id, team_id
) on table public.activities to authenticated;
grant update (
    status, priority, subject, body_html, due_at, starts_at, ends_at, direction, outcome,
    duration_seconds, location, meeting_url, company_id, contact_id, deal_id, custom_fields,
    owner_id, team_id
) on table public.activities to authenticated;
grant select, insert, update, delete on table public.activities to service_role;

create policy select_member on public.activities
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'activities.read', 'activities.read_team', 'activities.read_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'activities.read', 'activities.read_team', 'activities.read_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('activities.read')
            )
        )
        or private.spans(
            (select private.my_span('activities.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.activities is
'One sees all activities, those of one''s teams or one''s own, as one''s role says.';

create policy insert_member on public.activities
for insert to authenticated
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('activities.write')
        )
    )
    or private.spans(
        (select private.my_span('activities.write')), organization_id, team_id, owner_id
    )
);
comment on policy insert_member on public.activities is
'One adds activities for anybody, for one''s teams or as one''s own, as one''s role says.';

create policy update_member on public.activities
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'activities.write', 'activities.write_team', 'activities.write_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'activities.write', 'activities.write_team', 'activities.write_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('activities.write')
            )
        )
        or private.spans(
            (select private.my_span('activities.write')), organization_id, team_id, owner_id
        )
    ) is true
)
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('activities.write')
        )
    )
    or private.spans(
        (select private.my_span('activities.write')), organization_id, team_id, owner_id
    )
);
comment on policy update_member on public.activities is
'One changes activities, and may not hand them beyond the reach of one''s role.';

create policy delete_member on public.activities
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'activities.delete', 'activities.delete_team', 'activities.delete_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'activities.delete', 'activities.delete_team', 'activities.delete_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('activities.delete')
            )
        )
        or private.spans(
            (select private.my_span('activities.delete')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy delete_member on public.activities is
'One deletes activities for good within the reach of one''s role.';

-- Call transcripts ---------------------------------------------------------------------------
call private.lock_down('public.call_transcripts');
grant select, delete on table public.call_transcripts to authenticated;
grant insert (
    organization_id, id, activity_id, language, provider, content_html, summary_html
) on table public.call_transcripts to authenticated;
grant update (
    language, provider, content_html, summary_html
) on table public.call_transcripts to authenticated;
grant select, insert, update, delete on table public.call_transcripts to service_role;

create policy select_member on public.call_transcripts
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'activities.read', 'activities.read_team', 'activities.read_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'activities.read', 'activities.read_team', 'activities.read_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('activities.read')
            )
        )
        or private.spans(
            (select private.my_span('activities.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.call_transcripts is
'One sees the transcripts of the activities one sees.';

create policy insert_member on public.call_transcripts
for insert to authenticated
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('activities.write')
        )
    )
    or private.spans(
        (select private.my_span('activities.write')), organization_id, team_id, owner_id
    )
);
comment on policy insert_member on public.call_transcripts is
'One adds transcripts to the activities one may change.';

create policy update_member on public.call_transcripts
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'activities.write', 'activities.write_team', 'activities.write_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'activities.write', 'activities.write_team', 'activities.write_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('activities.write')
            )
        )
        or private.spans(
            (select private.my_span('activities.write')), organization_id, team_id, owner_id
        )
    ) is true
)
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('activities.write')
        )
    )
    or private.spans(
        (select private.my_span('activities.write')), organization_id, team_id, owner_id
    )
);
comment on policy update_member on public.call_transcripts is
'One changes transcripts of the activities one may change.';

create policy delete_member on public.call_transcripts
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'activities.delete', 'activities.delete_team', 'activities.delete_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'activities.delete', 'activities.delete_team', 'activities.delete_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('activities.delete')
            )
        )
        or private.spans(
            (select private.my_span('activities.delete')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy delete_member on public.call_transcripts is
'One deletes transcripts of the activities one may delete.';

-- Conversations ------------------------------------------------------------------------------
call private.lock_down('public.conversations');
grant select, delete on table public.conversations to authenticated;
grant insert (
    organization_id, id, channel, subject, status, external_id, company_id, contact_id, deal_id,
    owner_id, team_id
) on table public.conversations to authenticated;
grant update (
    channel, subject, status, external_id, company_id, contact_id, deal_id, owner_id, team_id
) on table public.conversations to authenticated;
grant select, insert, update, delete on table public.conversations to service_role;

create policy select_member on public.conversations
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'conversations.read', 'conversations.read_team', 'conversations.read_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'conversations.read', 'conversations.read_team', 'conversations.read_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('conversations.read')
            )
        )
        or private.spans(
            (select private.my_span('conversations.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.conversations is
'One sees all conversations, those of one''s teams or one''s own, as one''s role says.';

create policy insert_member on public.conversations
for insert to authenticated
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('conversations.write')
        )
    )
    or private.spans(
        (select private.my_span('conversations.write')), organization_id, team_id, owner_id
    )
);
comment on policy insert_member on public.conversations is
'One adds conversations for anybody, for one''s teams or as one''s own, as one''s role says.';

create policy update_member on public.conversations
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'conversations.write', 'conversations.write_team', 'conversations.write_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'conversations.write', 'conversations.write_team', 'conversations.write_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('conversations.write')
            )
        )
        or private.spans(
            (select private.my_span('conversations.write')), organization_id, team_id, owner_id
        )
    ) is true
)
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('conversations.write')
        )
    )
    or private.spans(
        (select private.my_span('conversations.write')), organization_id, team_id, owner_id
    )
);
comment on policy update_member on public.conversations is
'One changes conversations, and may not hand them beyond the reach of one''s role.';

create policy delete_member on public.conversations
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'conversations.delete',
                        'conversations.delete_team',
                        'conversations.delete_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'conversations.delete', 'conversations.delete_team', 'conversations.delete_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('conversations.delete')
            )
        )
        or private.spans(
            (select private.my_span('conversations.delete')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy delete_member on public.conversations is
'One deletes conversations for good within the reach of one''s role.';

-- Messages: never changed once written -------------------------------------------------------
call private.lock_down('public.messages');
grant select, delete on table public.messages to authenticated;
grant insert (
    organization_id, id, conversation_id, direction, sender_name, sender_address,
    recipient_addresses, subject, body_html, body_text, external_id, sent_at
) on table public.messages to authenticated;
grant select, insert, update, delete on table public.messages to service_role;

create policy select_member on public.messages
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'conversations.read', 'conversations.read_team', 'conversations.read_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'conversations.read', 'conversations.read_team', 'conversations.read_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('conversations.read')
            )
        )
        or private.spans(
            (select private.my_span('conversations.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.messages is
'One sees the messages of the conversations one sees.';

create policy insert_member on public.messages
for insert to authenticated
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('conversations.write')
        )
    )
    or private.spans(
        (select private.my_span('conversations.write')), organization_id, team_id, owner_id
    )
);
comment on policy insert_member on public.messages is
'One adds messages to the conversations one may change.';

create policy delete_member on public.messages
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'conversations.delete',
                        'conversations.delete_team',
                        'conversations.delete_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'conversations.delete', 'conversations.delete_team', 'conversations.delete_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('conversations.delete')
            )
        )
        or private.spans(
            (select private.my_span('conversations.delete')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy delete_member on public.messages is
'One deletes messages of the conversations one may delete.';

-- Tags ---------------------------------------------------------------------------------------
call private.lock_down('public.tags');
grant select, delete on table public.tags to authenticated;
grant insert (organization_id, id, name, color) on table public.tags to authenticated;
grant update (name, color) on table public.tags to authenticated;
grant select, insert, update, delete on table public.tags to service_role;

create policy select_member on public.tags
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('tags.read')
                ),
                '{}'
            ),
            array(select private.org_ids('tags.read'))
        )
    )
);
comment on policy select_member on public.tags is
'Those who hold tags.read see tags.';

create policy insert_member on public.tags
for insert to authenticated
with check (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('tags.write')
                ),
                '{}'
            ),
            array(select private.org_ids('tags.write'))
        )
    )
);
comment on policy insert_member on public.tags is
'Those who hold tags.write add tags.';

create policy update_member on public.tags
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('tags.write')
                ),
                '{}'
            ),
            array(select private.org_ids('tags.write'))
        )
    )
);
comment on policy update_member on public.tags is
'Those who hold tags.write change tags.';

create policy delete_member on public.tags
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('tags.delete')
                ),
                '{}'
            ),
            array(select private.org_ids('tags.delete'))
        )
    )
);
comment on policy delete_member on public.tags is
'Those who hold tags.delete delete tags.';

-- Contact tags -------------------------------------------------------------------------------
call private.lock_down('public.contact_tags');
grant select, delete on table public.contact_tags to authenticated;
grant insert (organization_id, contact_id, tag_id) on table public.contact_tags to authenticated;
grant select, insert, update, delete on table public.contact_tags to service_role;

create policy select_member on public.contact_tags
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'contacts.read', 'contacts.read_team', 'contacts.read_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids('contacts.read', 'contacts.read_team', 'contacts.read_own')
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('contacts.read')
            )
        )
        or private.spans(
            (select private.my_span('contacts.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.contact_tags is
'One sees the tags of the contacts one sees.';

create policy insert_member on public.contact_tags
for insert to authenticated
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('contacts.write')
        )
    )
    or private.spans(
        (select private.my_span('contacts.write')), organization_id, team_id, owner_id
    )
);
comment on policy insert_member on public.contact_tags is
'One adds tags to the contacts one may change.';

create policy delete_member on public.contact_tags
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'contacts.write', 'contacts.write_team', 'contacts.write_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'contacts.write', 'contacts.write_team', 'contacts.write_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('contacts.write')
            )
        )
        or private.spans(
            (select private.my_span('contacts.write')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy delete_member on public.contact_tags is
'One removes tags from the contacts one may change.';

-- Company tags -------------------------------------------------------------------------------
call private.lock_down('public.company_tags');
grant select, delete on table public.company_tags to authenticated;
grant insert (organization_id, company_id, tag_id) on table public.company_tags to authenticated;
grant select, insert, update, delete on table public.company_tags to service_role;

create policy select_member on public.company_tags
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'companies.read', 'companies.read_team', 'companies.read_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'companies.read', 'companies.read_team', 'companies.read_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('companies.read')
            )
        )
        or private.spans(
            (select private.my_span('companies.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.company_tags is
'One sees the tags of the companies one sees.';

create policy insert_member on public.company_tags
for insert to authenticated
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('companies.write')
        )
    )
    or private.spans(
        (select private.my_span('companies.write')), organization_id, team_id, owner_id
    )
);
comment on policy insert_member on public.company_tags is
'One adds tags to the companies one may change.';

create policy delete_member on public.company_tags
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'companies.write', 'companies.write_team', 'companies.write_own'
                    )
                ),
                '{}'
            ),
            array(
                select private.org_ids(
                    'companies.write', 'companies.write_team', 'companies.write_own'
                )
            )
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('companies.write')
            )
        )
        or private.spans(
            (select private.my_span('companies.write')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy delete_member on public.company_tags is
'One removes tags from the companies one may change.';

-- Deal tags ----------------------------------------------------------------------------------
call private.lock_down('public.deal_tags');
grant select, delete on table public.deal_tags to authenticated;
grant insert (organization_id, deal_id, tag_id) on table public.deal_tags to authenticated;
grant select, insert, update, delete on table public.deal_tags to service_role;

create policy select_member on public.deal_tags
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'deals.read', 'deals.read_team', 'deals.read_own'
                    )
                ),
                '{}'
            ),
            array(select private.org_ids('deals.read', 'deals.read_team', 'deals.read_own'))
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('deals.read')
            )
        )
        or private.spans(
            (select private.my_span('deals.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.deal_tags is
'One sees the tags of the deals one sees.';

create policy insert_member on public.deal_tags
for insert to authenticated
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('deals.write')
        )
    )
    or private.spans(
        (select private.my_span('deals.write')), organization_id, team_id, owner_id
    )
);
comment on policy insert_member on public.deal_tags is
'One adds tags to the deals one may change.';

create policy delete_member on public.deal_tags
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'deals.write', 'deals.write_team', 'deals.write_own'
                    )
                ),
                '{}'
            ),
            array(select private.org_ids('deals.write', 'deals.write_team', 'deals.write_own'))
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('deals.write')
            )
        )
        or private.spans(
            (select private.my_span('deals.write')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy delete_member on public.deal_tags is
'One removes tags from the deals one may change.';

-- Custom field definitions -------------------------------------------------------------------
call private.lock_down('public.custom_field_definitions');
grant select, delete on table public.custom_field_definitions to authenticated;
grant insert (
    organization_id, id, object, key, label, type, required, options, position, archived_at
) on table public.custom_field_definitions to authenticated;
grant update (
    label, required, options, position, archived_at
) on table public.custom_field_definitions to authenticated;
grant select, insert, update, delete on table public.custom_field_definitions to service_role;

create policy select_member on public.custom_field_definitions
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('custom_fields.read')
                ),
                '{}'
            ),
            array(select private.org_ids('custom_fields.read'))
        )
    )
);
comment on policy select_member on public.custom_field_definitions is
'Those who hold custom_fields.read see custom field definitions.';

create policy insert_member on public.custom_field_definitions
for insert to authenticated
with check (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('custom_fields.write')
                ),
                '{}'
            ),
            array(select private.org_ids('custom_fields.write'))
        )
    )
);
comment on policy insert_member on public.custom_field_definitions is
'Those who hold custom_fields.write add custom field definitions.';

create policy update_member on public.custom_field_definitions
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('custom_fields.write')
                ),
                '{}'
            ),
            array(select private.org_ids('custom_fields.write'))
        )
    )
);
comment on policy update_member on public.custom_field_definitions is
'Those who hold custom_fields.write change custom field definitions.';

create policy delete_member on public.custom_field_definitions
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('custom_fields.delete')
                ),
                '{}'
            ),
            array(select private.org_ids('custom_fields.delete'))
        )
    )
);
comment on policy delete_member on public.custom_field_definitions is
'Those who hold custom_fields.delete delete custom field definitions.';

-- Files --------------------------------------------------------------------------------------
call private.lock_down('public.files');
grant select, delete on table public.files to authenticated;
grant insert (
    organization_id, id, path, name, content_type, size_bytes, sha256, company_id, contact_id,
    deal_id, activity_id, owner_id, team_id
) on table public.files to authenticated;
grant update (
    name, company_id, contact_id, deal_id, activity_id, owner_id, team_id
) on table public.files to authenticated;
grant select, insert, update, delete on table public.files to service_role;

create policy select_member on public.files
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'files.read', 'files.read_team', 'files.read_own'
                    )
                ),
                '{}'
            ),
            array(select private.org_ids('files.read', 'files.read_team', 'files.read_own'))
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('files.read')
            )
        )
        or private.spans(
            (select private.my_span('files.read')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy select_member on public.files is
'One sees all files, those of one''s teams or one''s own, as one''s role says.';

create policy insert_member on public.files
for insert to authenticated
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('files.write')
        )
    )
    or private.spans(
        (select private.my_span('files.write')), organization_id, team_id, owner_id
    )
);
comment on policy insert_member on public.files is
'One adds files for anybody, for one''s teams or as one''s own, as one''s role says.';

create policy update_member on public.files
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'files.write', 'files.write_team', 'files.write_own'
                    )
                ),
                '{}'
            ),
            array(select private.org_ids('files.write', 'files.write_team', 'files.write_own'))
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('files.write')
            )
        )
        or private.spans(
            (select private.my_span('files.write')), organization_id, team_id, owner_id
        )
    ) is true
)
with check (
    organization_id = any(
        array(
            select s.organization_id
            from private.my_seats as s
            where s.rights && private.codes('files.write')
        )
    )
    or private.spans(
        (select private.my_span('files.write')), organization_id, team_id, owner_id
    )
);
comment on policy update_member on public.files is
'One changes files, and may not hand them beyond the reach of one''s role.';

create policy delete_member on public.files
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes(
                        'files.delete', 'files.delete_team', 'files.delete_own'
                    )
                ),
                '{}'
            ),
            array(select private.org_ids('files.delete', 'files.delete_team', 'files.delete_own'))
        )
    )
    and (
        organization_id = any(
            array(
                select s.organization_id
                from private.my_seats as s
                where s.rights && private.codes('files.delete')
            )
        )
        or private.spans(
            (select private.my_span('files.delete')), organization_id, team_id, owner_id
        )
    ) is true
);
comment on policy delete_member on public.files is
'One deletes files for good within the reach of one''s role.';

-- Import jobs --------------------------------------------------------------------------------
call private.lock_down('public.import_jobs');
grant select, delete on table public.import_jobs to authenticated;
-- Progress is written by the worker, status by functions.
grant insert (
    organization_id, id, object, file_id, mapping
) on table public.import_jobs to authenticated;
grant update (file_id, mapping) on table public.import_jobs to authenticated;
grant select, insert, update, delete on table public.import_jobs to service_role;

create policy select_member on public.import_jobs
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('imports.read')
                ),
                '{}'
            ),
            array(select private.org_ids('imports.read'))
        )
    )
);
comment on policy select_member on public.import_jobs is
'Those who hold imports.read see imports.';

create policy insert_member on public.import_jobs
for insert to authenticated
with check (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('imports.write')
                ),
                '{}'
            ),
            array(select private.org_ids('imports.write'))
        )
    )
);
comment on policy insert_member on public.import_jobs is
'Those who hold imports.write add imports.';

create policy update_member on public.import_jobs
for update to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('imports.write')
                ),
                '{}'
            ),
            array(select private.org_ids('imports.write'))
        )
    )
);
comment on policy update_member on public.import_jobs is
'Those who hold imports.write change imports.';

create policy delete_member on public.import_jobs
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('imports.delete')
                ),
                '{}'
            ),
            array(select private.org_ids('imports.delete'))
        )
    )
);
comment on policy delete_member on public.import_jobs is
'Those who hold imports.delete delete imports.';

-- Import rows --------------------------------------------------------------------------------
call private.lock_down('public.import_rows');
grant select, delete on table public.import_rows to authenticated;
grant insert (
    organization_id, import_job_id, row_number, data
) on table public.import_rows to authenticated;
grant select, insert, update, delete on table public.import_rows to service_role;

create policy select_member on public.import_rows
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('imports.read')
                ),
                '{}'
            ),
            array(select private.org_ids('imports.read'))
        )
    )
);
comment on policy select_member on public.import_rows is
'Those who hold imports.read see the rows of imports.';

create policy insert_member on public.import_rows
for insert to authenticated
with check (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('imports.write')
                ),
                '{}'
            ),
            array(select private.org_ids('imports.write'))
        )
    )
);
comment on policy insert_member on public.import_rows is
'Those who hold imports.write add the rows of imports.';

create policy delete_member on public.import_rows
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('imports.delete')
                ),
                '{}'
            ),
            array(select private.org_ids('imports.delete'))
        )
    )
);
comment on policy delete_member on public.import_rows is
'Those who hold imports.delete delete the rows of imports.';

-- Export jobs --------------------------------------------------------------------------------
call private.lock_down('public.export_jobs');
grant select, delete on table public.export_jobs to authenticated;
grant insert (
    organization_id, id, object, format, filter
) on table public.export_jobs to authenticated;
grant select, insert, update, delete on table public.export_jobs to service_role;

create policy select_member on public.export_jobs
for select to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('exports.read')
                ),
                '{}'
            ),
            array(select private.org_ids('exports.read'))
        )
    )
);
comment on policy select_member on public.export_jobs is
'Those who hold exports.read see exports.';

create policy insert_member on public.export_jobs
for insert to authenticated
with check (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('exports.write')
                ),
                '{}'
            ),
            array(select private.org_ids('exports.write'))
        )
    )
);
comment on policy insert_member on public.export_jobs is
'Those who hold exports.write add exports.';

create policy delete_member on public.export_jobs
for delete to authenticated
using (
    organization_id = any(
        coalesce(
            nullif(
                array(
                    select s.organization_id
                    from private.my_seats as s
                    where s.rights && private.codes('exports.delete')
                ),
                '{}'
            ),
            array(select private.org_ids('exports.delete'))
        )
    )
);
comment on policy delete_member on public.export_jobs is
'Those who hold exports.delete delete exports.';

-- What merges did: read and written only by functions ----------------------------------------
call private.lock_down('private.contact_merges');
