-- Activities, call transcripts, conversations and messages: a child shows no more than its parent.
begin;
\ir helpers.psql
select no_plan();

-- Activities ---------------------------------------------------------------------------------
select tests.as_user('vera.viewer');
select is(count(*), 3::bigint, 'a viewer sees what was done in her organization')
from public.activities;
select is(count(*), 1::bigint, 'and what was said') from public.call_transcripts;
select tests.as_user('rita.rep');
select is(count(*), 1::bigint, 'a sales representative sees her own call') from public.activities;
select is(count(*), 1::bigint, 'and its transcript') from public.call_transcripts;

select tests.as_user('mika.member');
select results_eq(
    $$
        select c.status, c.completed_by, c.completed_at is not null, c.outcome
        from public.complete_activity(
            tests.alder(), 'a9000000-0000-7000-8000-000000000001', 'drawings sent'
        ) as c
    $$,
    $$ values ('done', tests.person('mika.member'), true, 'drawings sent') $$,
    'completing a task says who did it, and when'
);
select lives_ok(
    $$
        update public.activities set status = 'open'
        where id = 'a9000000-0000-7000-8000-000000000001'
    $$,
    'it can be opened again'
);
select is(a.completed_by, null, 'and then nobody has done it') from public.activities as a
where a.id = 'a9000000-0000-7000-8000-000000000001';
select is(
    tests.error_of($$
        select public.complete_activity(tests.alder(), 'a9000000-0000-7000-8000-000000000003')
    $$),
    'record.not_found',
    'nobody completes what is somebody else''s'
);
select is(
    tests.error_of($$
        update public.activities set completed_by = tests.person('adam.admin')
        where id = 'a9000000-0000-7000-8000-000000000001'
    $$),
    '42501',
    'or says that another did it'
);
select lives_ok(
    $$
        insert into public.activities (organization_id, kind, subject, contact_id)
        values (tests.alder(), 'note', 'Hello', 'a7000000-0000-7000-8000-000000000001')
    $$,
    'a member writes a note'
);
select is(a.status, 'done', 'a note is done when it is written') from public.activities as a
where a.subject = 'Hello';
select
    is(
        tests.error_of(format(
            'insert into public.activities (organization_id, kind, subject, %s)'
            ' values (tests.alder(), %L, %L, %L)',
            v.field, v.kind, 'Checked', v.value
        )),
        v.wanted,
        format('%s of a %s: %L', v.field, v.kind, v.value)
    )
from (
    values
    ('task', 'direction', 'inbound', 'activities_direction_check'),
    ('call', 'direction', 'inbound', null),
    ('meeting', 'meeting_url', 'http://meet.example', 'activities_meeting_url_check'),
    ('meeting', 'meeting_url', 'https://meet.example/1', null),
    ('call', 'duration_seconds', '-1', 'activities_duration_seconds_check'),
    ('call', 'contact_id', 'b7000000-0000-7000-8000-000000000001', 'activities_contact_fkey'),
    ('call', 'contact_id', 'a7000000-0000-7000-8000-000000000003', null),
    ('dream', 'location', 'here', 'activities_kind_check')
) as v (kind, field, value, wanted);

-- Transcripts --------------------------------------------------------------------------------
select is(
    tests.error_of($$
        insert into public.call_transcripts (organization_id, activity_id, content_html)
        values (tests.alder(), 'a9000000-0000-7000-8000-000000000003', '<p>Never said.</p>')
    $$),
    '42501',
    'a member adds no transcript to a call of somebody else'
);
select is(
    tests.error_of($$
        insert into public.call_transcripts (organization_id, activity_id, content_html)
        values (tests.alder(), 'a9000000-0000-7000-8000-000000000001', '<p>Said.</p>')
    $$),
    null,
    'but does to his own'
);

-- Conversations are more private than other records -------------------------------------------
select tests.as_user('vera.viewer');
select is(count(*), 0::bigint, 'a viewer reads no correspondence') from public.conversations;
select is(count(*), 0::bigint, 'not a single message') from public.messages;
select tests.as_user('mika.member');
select is(count(*), 1::bigint, 'a member sees what is his and his team''s')
from public.conversations;
select is(count(*), 2::bigint, 'with its messages') from public.messages;
select tests.as_user('mara.manager');
select is(count(*), 2::bigint, 'a manager sees all of it') from public.conversations;
select is(count(*), 3::bigint, 'message by message') from public.messages;
select tests.as_user('rita.rep');
select results_eq(
    'select m.body_text from public.messages as m',
    array['Can you call me tomorrow?'],
    'a sales representative reads hers'
);

-- Writing ------------------------------------------------------------------------------------
select lives_ok(
    $$
        insert into public.messages (
            organization_id, conversation_id, direction, body_text, sent_at
        )
        values (
            tests.alder(), 'ac000000-0000-7000-8000-000000000002', 'outbound', 'Of course.',
            '2026-11-06 08:00+00'
        )
    $$,
    'and answers'
);
select is(c.last_message_at, '2026-11-06 08:00+00', 'which moves the thread up')
from public.conversations as c
where c.id = 'ac000000-0000-7000-8000-000000000002';
select is(
    tests.error_of($$
        insert into public.messages (organization_id, conversation_id, direction, body_text)
        values (tests.alder(), 'ac000000-0000-7000-8000-000000000001', 'outbound', 'Hello.')
    $$),
    '42501',
    'she does not write into a thread she cannot see'
);
select is(
    tests.error_of($$
        insert into public.messages (organization_id, conversation_id, direction, body_text)
        values (tests.birch(), 'bc000000-0000-7000-8000-000000000001', 'outbound', 'Hello.')
    $$),
    '42501',
    'nor into one of another organization'
);
select is(
    tests.error_of($$
        insert into public.messages (organization_id, conversation_id, direction, body_text)
        values (tests.alder(), 'bc000000-0000-7000-8000-000000000001', 'outbound', 'Hello.')
    $$),
    '42501',
    'not even by calling it her own organization''s'
);
select is(
    tests.error_of($$
        update public.messages set body_text = 'Never.'
        where conversation_id = 'ac000000-0000-7000-8000-000000000002'
    $$),
    '42501',
    'what was written stays written'
);

-- A thread that changes hands takes its messages along ----------------------------------------
select tests.as_user('adam.admin');
select is(
    tests.changed($$
        update public.conversations set owner_id = tests.person('mara.manager'), team_id = null
        where id = 'ac000000-0000-7000-8000-000000000002'
    $$),
    1::bigint,
    'an administrator gives the thread to somebody else'
);
select tests.as_user('rita.rep');
select is(count(*), 0::bigint, 'and the former owner reads none of its messages')
from public.messages;

-- Somebody leaves ----------------------------------------------------------------------------
select tests.as_owner();
select is(
    tests.changed($$
        delete from public.memberships
        where organization_id = tests.alder() and user_id = tests.person('mika.member')
    $$),
    1::bigint,
    'somebody leaves'
);
select is(c.owner_id, null, 'the thread stays, without an owner')
from public.conversations as c
where c.id = 'ac000000-0000-7000-8000-000000000001';
select is(count(*), 2::bigint, 'and so do its messages')
from public.messages as m
where m.conversation_id = 'ac000000-0000-7000-8000-000000000001' and m.owner_id is null;
select tests.as_user('mika.member');
select is(count(*), 0::bigint, 'who left reads nothing from that moment') from public.messages;

select * from finish();
rollback;
