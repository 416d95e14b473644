set local lock_timeout = '4s';

-- Activities --------------------------------------------------------------------------------
create table public.activities (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    kind text not null,
    status text not null default 'open',
    priority text not null default 'normal',
    subject text not null,
    body_html text,
    due_at timestamptz,
    starts_at timestamptz,
    ends_at timestamptz,
    completed_at timestamptz,
    completed_by uuid,
    direction text,
    outcome text,
    duration_seconds bigint,
    location text,
    meeting_url text,
    company_id uuid,
    contact_id uuid,
    deal_id uuid,
    custom_fields jsonb not null default '{}',
    owner_id uuid default auth.uid(),
    team_id uuid,
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    constraint activities_pkey primary key (organization_id, id),
    constraint activities_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint activities_company_fkey
    foreign key (organization_id, company_id)
    references public.companies (organization_id, id) on delete set null (company_id),
    constraint activities_contact_fkey
    foreign key (organization_id, contact_id)
    references public.contacts (organization_id, id) on delete set null (contact_id),
    constraint activities_deal_fkey
    foreign key (organization_id, deal_id)
    references public.deals (organization_id, id) on delete set null (deal_id),
    constraint activities_owner_fkey
    foreign key (organization_id, owner_id)
    references public.memberships (organization_id, user_id) on delete set null (owner_id),
    constraint activities_team_fkey
    foreign key (organization_id, team_id)
    references public.teams (organization_id, id) on delete set null (team_id),
    constraint activities_kind_check check (kind in ('task', 'note', 'call', 'meeting')),
    constraint activities_status_check check (status in ('open', 'done', 'cancelled')),
    constraint activities_priority_check check (priority in ('low', 'normal', 'high')),
    constraint activities_subject_check check (
        char_length(subject) between 1 and 300 and subject = btrim(subject)
    ),
    constraint activities_body_html_check check (char_length(body_html) <= 100000),
    constraint activities_ends_at_check check (ends_at >= starts_at),
    constraint activities_completed_at_check check ((status = 'done') = (completed_at is not null)),
    constraint activities_direction_check check (
        direction is null or (direction in ('inbound', 'outbound') and kind = 'call')
    ),
    constraint activities_outcome_check check (char_length(outcome) between 1 and 500),
    constraint activities_duration_seconds_check check (duration_seconds between 0 and 604800),
    constraint activities_location_check check (char_length(location) between 1 and 300),
    constraint activities_meeting_url_check check (
        meeting_url ~ '^https://[^[:space:]<>"]+$' and char_length(meeting_url) <= 2048
    ),
    constraint activities_custom_fields_check check (
        jsonb_typeof(custom_fields) = 'object' and octet_length(custom_fields::text) <= 16384
    )
);
comment on table public.activities is
'What was done or is to be done: tasks, notes, calls and meetings.';
comment on column public.activities.status is
'Notes are done when written; the others are open until completed or cancelled.';
comment on column public.activities.completed_at is 'Kept by the database.';
comment on column public.activities.completed_by is 'Kept by the database.';
comment on column public.activities.direction is 'Of a call.';
comment on column public.activities.custom_fields is
'Values by field key, checked against custom_field_definitions.';
comment on column public.activities.owner_id is 'The member responsible; the `_own` permissions.';
comment on column public.activities.team_id is 'The team responsible; the `_team` permissions.';
comment on column public.activities.deleted_at is
'In the bin since then. Set and cleared only by soft_delete() and restore().';
create index activities_owner_idx
on public.activities (organization_id, owner_id, created_at desc, id)
where owner_id is not null;
create index activities_team_idx
on public.activities (organization_id, team_id, created_at desc, id)
where team_id is not null;
create index activities_company_idx
on public.activities (organization_id, company_id, created_at desc, id)
where company_id is not null;
create index activities_contact_idx
on public.activities (organization_id, contact_id, created_at desc, id)
where contact_id is not null;
create index activities_deal_idx
on public.activities (organization_id, deal_id, created_at desc, id)
where deal_id is not null;
-- "What is on my desk": open tasks, calls and meetings by date.
create index activities_due_idx
on public.activities (organization_id, due_at, id) include (owner_id, team_id)
where status = 'open' and deleted_at is null;
create index activities_timeline_idx
on public.activities (organization_id, created_at desc, id) include (owner_id, team_id)
where deleted_at is null;
call private.lock_down('public.activities');

create trigger tg_activities__immutable_keys
before update on public.activities
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
    -- A note does not become a call.
    or old.kind is distinct from new.kind
)
execute function private.tg_immutable_keys();

create trigger tg_activities__touch_updated_at
before update on public.activities
for each row
execute function private.tg_touch_updated_at();

create function private.tg_activities__apply_status()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.kind = 'note' then
        new.status := 'done';
    end if;
    if new.status <> 'done' then
        new.completed_at := null;
        new.completed_by := null;
    elsif tg_op = 'INSERT' then
        new.completed_at := coalesce(new.completed_at, pg_catalog.now());
        new.completed_by := coalesce(new.completed_by, auth.uid());
    elsif old.status <> 'done' then
        new.completed_at := pg_catalog.now();
        new.completed_by := auth.uid();
    end if;
    return new;
end;
$$;
comment on function private.tg_activities__apply_status() is
'Makes the completion of an activity follow its status.';

create trigger tg_activities__apply_status
before insert or update of status, completed_at, completed_by on public.activities
for each row
execute function private.tg_activities__apply_status();

-- Transcripts of calls and meetings ---------------------------------------------------------
create function private.tg_inherit_activity_scope()
returns trigger
language plpgsql
-- Reads the activity past its policies; the child's own WITH CHECK then judges the result.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- FOR SHARE waits for a change of owner under way; the foreign key's own lock would not.
    select a.owner_id, a.team_id into new.owner_id, new.team_id
    from public.activities as a
    where a.organization_id = new.organization_id and a.id = new.activity_id
    for share skip locked;
    if not found and private.may_wait(new.organization_id) then
        select a.owner_id, a.team_id into new.owner_id, new.team_id
        from public.activities as a
        where a.organization_id = new.organization_id and a.id = new.activity_id
        for share;
    end if;
    return new;
end;
$$;
comment on function private.tg_inherit_activity_scope() is
'Gives a child of an activity the owner and team of the activity, whatever the client sent.';

create table public.call_transcripts (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    activity_id uuid not null,
    language text,
    provider text,
    content_html text not null,
    summary_html text,
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    owner_id uuid,
    team_id uuid,
    constraint call_transcripts_pkey primary key (organization_id, id),
    constraint call_transcripts_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint call_transcripts_activity_fkey
    foreign key (organization_id, activity_id)
    references public.activities (organization_id, id) on delete cascade,
    constraint call_transcripts_language_check check (language ~ '^[a-z]{2,3}(?:-[A-Z]{2})?$'),
    constraint call_transcripts_provider_check check (char_length(provider) between 1 and 80),
    constraint call_transcripts_content_html_check check (
        char_length(content_html) between 1 and 1000000
    ),
    constraint call_transcripts_summary_html_check check (char_length(summary_html) <= 50000)
);
comment on table public.call_transcripts is 'What was said in a call or meeting.';
comment on column public.call_transcripts.provider is 'Which service wrote it down.';
comment on column public.call_transcripts.owner_id is 'Copied from the activity.';
comment on column public.call_transcripts.team_id is 'Copied from the activity.';
create index call_transcripts_activity_idx
on public.call_transcripts (organization_id, activity_id, created_at desc, id)
include (owner_id, team_id);
create index call_transcripts_timeline_idx
on public.call_transcripts (organization_id, created_at desc, id) include (owner_id, team_id);
call private.lock_down('public.call_transcripts');

create trigger tg_call_transcripts__immutable_keys
before update on public.call_transcripts
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
    or old.activity_id is distinct from new.activity_id
)
execute function private.tg_immutable_keys();

create trigger tg_call_transcripts__touch_updated_at
before update on public.call_transcripts
for each row
execute function private.tg_touch_updated_at();

create trigger tg_call_transcripts__inherit_scope
before insert on public.call_transcripts
for each row
execute function private.tg_inherit_activity_scope();

-- Conversations -----------------------------------------------------------------------------
create table public.conversations (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    channel text not null,
    subject text,
    status text not null default 'open',
    external_id text,
    company_id uuid,
    contact_id uuid,
    deal_id uuid,
    last_message_at timestamptz,
    owner_id uuid default auth.uid(),
    team_id uuid,
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    constraint conversations_pkey primary key (organization_id, id),
    constraint conversations_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint conversations_company_fkey
    foreign key (organization_id, company_id)
    references public.companies (organization_id, id) on delete set null (company_id),
    constraint conversations_contact_fkey
    foreign key (organization_id, contact_id)
    references public.contacts (organization_id, id) on delete set null (contact_id),
    constraint conversations_deal_fkey
    foreign key (organization_id, deal_id)
    references public.deals (organization_id, id) on delete set null (deal_id),
    constraint conversations_owner_fkey
    foreign key (organization_id, owner_id)
    references public.memberships (organization_id, user_id) on delete set null (owner_id),
    constraint conversations_team_fkey
    foreign key (organization_id, team_id)
    references public.teams (organization_id, id) on delete set null (team_id),
    constraint conversations_channel_check check (
        channel in ('email', 'sms', 'chat', 'whatsapp', 'phone', 'other')
    ),
    constraint conversations_subject_check check (
        char_length(subject) between 1 and 500 and subject = btrim(subject)
    ),
    constraint conversations_status_check check (status in ('open', 'pending', 'closed')),
    constraint conversations_external_id_check check (char_length(external_id) between 1 and 500)
);
comment on table public.conversations is 'A thread of messages with somebody outside.';
comment on column public.conversations.external_id is
'The thread''s name at the provider it comes from.';
comment on column public.conversations.last_message_at is 'Kept by the database.';
comment on column public.conversations.owner_id is
'The member responsible; the `_own` permissions.';
comment on column public.conversations.team_id is 'The team responsible; the `_team` permissions.';
comment on column public.conversations.deleted_at is
'In the bin since then. Set and cleared only by soft_delete() and restore().';
create index conversations_owner_idx
on public.conversations (organization_id, owner_id, created_at desc, id)
where owner_id is not null;
create index conversations_team_idx
on public.conversations (organization_id, team_id, created_at desc, id)
where team_id is not null;
create index conversations_company_idx
on public.conversations (organization_id, company_id, created_at desc, id)
where company_id is not null;
create index conversations_contact_idx
on public.conversations (organization_id, contact_id, created_at desc, id)
where contact_id is not null;
create index conversations_deal_idx
on public.conversations (organization_id, deal_id, created_at desc, id)
where deal_id is not null;
create index conversations_inbox_idx
on public.conversations (organization_id, status, last_message_at desc nulls last, id)
include (owner_id, team_id)
where deleted_at is null;
-- Not unique: under own-only access a refusal would tell of a thread one may not see.
create index conversations_external_id_idx
on public.conversations (organization_id, channel, external_id)
where external_id is not null;
create index conversations_timeline_idx
on public.conversations (organization_id, created_at desc, id) include (owner_id, team_id)
where deleted_at is null;
call private.lock_down('public.conversations');

create trigger tg_conversations__immutable_keys
before update on public.conversations
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
)
execute function private.tg_immutable_keys();

create trigger tg_conversations__touch_updated_at
before update on public.conversations
for each row
execute function private.tg_touch_updated_at();

-- Messages ----------------------------------------------------------------------------------
create function private.tg_inherit_conversation_scope()
returns trigger
language plpgsql
-- Reads the conversation past its policies; the child's own WITH CHECK then judges the result.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- FOR SHARE waits for a change of owner under way; the foreign key's own lock would not.
    select c.owner_id, c.team_id into new.owner_id, new.team_id
    from public.conversations as c
    where c.organization_id = new.organization_id and c.id = new.conversation_id
    for share skip locked;
    if not found and private.may_wait(new.organization_id) then
        select c.owner_id, c.team_id into new.owner_id, new.team_id
        from public.conversations as c
        where c.organization_id = new.organization_id and c.id = new.conversation_id
        for share;
    end if;
    return new;
end;
$$;
comment on function private.tg_inherit_conversation_scope() is
'Gives a message the owner and team of its conversation, whatever the client sent.';

create table public.messages (
    organization_id uuid not null,
    id uuid not null default private.uuid_v7(),
    conversation_id uuid not null,
    direction text not null,
    sender_name text,
    sender_address text,
    recipient_addresses text,
    subject text,
    body_html text,
    body_text text,
    external_id text,
    sent_at timestamptz not null default now(),
    created_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    owner_id uuid,
    team_id uuid,
    constraint messages_pkey primary key (organization_id, id),
    constraint messages_organization_id_fkey
    foreign key (organization_id) references public.organizations (id) on delete cascade,
    constraint messages_conversation_fkey
    foreign key (organization_id, conversation_id)
    references public.conversations (organization_id, id) on delete cascade,
    constraint messages_direction_check check (direction in ('inbound', 'outbound', 'internal')),
    constraint messages_sender_name_check check (char_length(sender_name) between 1 and 200),
    constraint messages_sender_address_check check (
        char_length(sender_address) between 1 and 320
    ),
    constraint messages_recipient_addresses_check check (
        char_length(recipient_addresses) between 1 and 10000
    ),
    constraint messages_subject_check check (char_length(subject) between 1 and 500),
    constraint messages_body_check check (coalesce(body_html, body_text) is not null),
    constraint messages_body_html_check check (char_length(body_html) <= 500000),
    constraint messages_body_text_check check (char_length(body_text) <= 500000),
    constraint messages_external_id_check check (char_length(external_id) between 1 and 500)
);
comment on table public.messages is
'One message of a conversation. Never changed once written; visible like its conversation.';
comment on column public.messages.direction is 'internal: a remark only colleagues see.';
comment on column public.messages.recipient_addresses is 'As in the header, comma-separated.';
comment on column public.messages.external_id is 'The message''s name at its provider.';
comment on column public.messages.owner_id is 'Copied from the conversation.';
comment on column public.messages.team_id is 'Copied from the conversation.';
create index messages_conversation_idx
on public.messages (organization_id, conversation_id, sent_at desc, id)
include (owner_id, team_id);
create index messages_external_id_idx
on public.messages (organization_id, external_id)
where external_id is not null;
create index messages_timeline_idx
on public.messages (organization_id, created_at desc, id) include (owner_id, team_id);
call private.lock_down('public.messages');

create trigger tg_messages__immutable_keys
before update on public.messages
for each row
when (
    old.organization_id is distinct from new.organization_id
    or old.id is distinct from new.id
    or old.conversation_id is distinct from new.conversation_id
)
execute function private.tg_immutable_keys();

create trigger tg_messages__inherit_scope
before insert on public.messages
for each row
execute function private.tg_inherit_conversation_scope();

create function private.tg_messages__touch_conversations()
returns trigger
language plpgsql
-- Whoever may add a message need not be allowed to change the conversation.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Once a statement, in key order: two imports cannot deadlock on the same threads.
    with latest as (
        select m.organization_id, m.conversation_id, max(m.sent_at) as sent_at
        from added as m
        group by m.organization_id, m.conversation_id
    ),

    locked as (
        select c.organization_id, c.id, l.sent_at
        from public.conversations as c
        inner join latest as l
            on c.organization_id = l.organization_id and c.id = l.conversation_id
        where c.last_message_at is null or c.last_message_at < l.sent_at
        order by c.organization_id, c.id
        for no key update of c
    )

    update public.conversations as c
    set last_message_at = l.sent_at
    from locked as l
    where c.organization_id = l.organization_id and c.id = l.id;
    return null;
end;
$$;
comment on function private.tg_messages__touch_conversations() is
'Keeps conversations.last_message_at true.';

create trigger tg_messages__touch_conversations
after insert on public.messages
referencing new table as added
for each statement
execute function private.tg_messages__touch_conversations();
