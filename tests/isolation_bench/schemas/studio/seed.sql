insert into public.workspaces (id, name, slug, archived)
values
    (:org_a, 'Atlas Studio', 'atlas', false),
    (:org_b, 'Borealis Studio', 'borealis', false),
    (:org_c, 'Cinder Studio', 'cinder', true);
insert into public.workspace_members (workspace_id, user_id, role, left_at)
values
    (:org_a, :alice, 'admin', null),
    (:org_a, :amy, 'member', null),
    (:org_a, :adam, 'member', null),
    (:org_a, :vera, 'member', null),
    (:org_a, :dora, 'member', now() - interval '1 day'),
    (:org_a, :tess, 'member', null),
    (:org_b, :bob, 'admin', null),
    (:org_b, :beth, 'member', null),
    (:org_b, :tess, 'member', null),
    (:org_c, :carl, 'admin', null);
insert into public.teams (id, workspace_id, name)
values
    ('a7000000-0000-4000-8000-000000000001', :org_a, 'Design'),
    ('a7000000-0000-4000-8000-000000000002', :org_a, 'Board'),
    ('b7000000-0000-4000-8000-000000000001', :org_b, 'Design'),
    ('c7000000-0000-4000-8000-000000000001', :org_c, 'Design');
insert into public.team_members (workspace_id, team_id, user_id)
values
    (:org_a, 'a7000000-0000-4000-8000-000000000001', :adam),
    (:org_a, 'a7000000-0000-4000-8000-000000000001', :dora),
    (:org_a, 'a7000000-0000-4000-8000-000000000002', :amy),
    (:org_b, 'b7000000-0000-4000-8000-000000000001', :beth),
    (:org_c, 'c7000000-0000-4000-8000-000000000001', :carl);
insert into public.projects (id, workspace_id, team_id, name, visibility)
values
    ('a8000000-0000-4000-8000-000000000001', :org_a, 'a7000000-0000-4000-8000-000000000001', 'Poster', 'workspace'),
    ('a8000000-0000-4000-8000-000000000002', :org_a, 'a7000000-0000-4000-8000-000000000002', 'Layoffs', 'team'),
    ('b8000000-0000-4000-8000-000000000001', :org_b, 'b7000000-0000-4000-8000-000000000001', 'Film', 'workspace'),
    ('c8000000-0000-4000-8000-000000000001', :org_c, 'c7000000-0000-4000-8000-000000000001', 'Ashes', 'workspace');
insert into public.project_guests (project_id, user_id, until)
values
    ('a8000000-0000-4000-8000-000000000001', :ivan, now() + interval '5 days'),
    ('a8000000-0000-4000-8000-000000000001', :xena, now() - interval '5 days');
insert into public.tasks (id, project_id, title)
values
    ('a9000000-0000-4000-8000-000000000001', 'a8000000-0000-4000-8000-000000000001', 'Draw the poster'),
    ('a9000000-0000-4000-8000-000000000002', 'a8000000-0000-4000-8000-000000000002', 'Write the list'),
    ('a9000000-0000-4000-8000-000000000003', 'a8000000-0000-4000-8000-000000000001', 'Print the poster'),
    ('b9000000-0000-4000-8000-000000000001', 'b8000000-0000-4000-8000-000000000001', 'Cut the film'),
    ('c9000000-0000-4000-8000-000000000001', 'c8000000-0000-4000-8000-000000000001', 'Sweep the ashes');
insert into public.task_links (project_id, task_id, blocks_id)
values ('a8000000-0000-4000-8000-000000000001', 'a9000000-0000-4000-8000-000000000001', 'a9000000-0000-4000-8000-000000000003');
insert into public.comments (id, task_id, author_id, body)
values
    ('ac000000-0000-4000-8000-000000000001', 'a9000000-0000-4000-8000-000000000001', :adam, 'Comment of Atlas'),
    ('ac000000-0000-4000-8000-000000000002', 'a9000000-0000-4000-8000-000000000001', :dora, 'Comment of Dora'),
    ('bc000000-0000-4000-8000-000000000001', 'b9000000-0000-4000-8000-000000000001', :beth, 'Comment of Borealis');
insert into public.time_entries (task_id, user_id, minutes)
values
    ('a9000000-0000-4000-8000-000000000001', :adam, 60),
    ('b9000000-0000-4000-8000-000000000001', :beth, 90);
insert into public.workspace_invites (workspace_id, email, code, valid_until, redeemed_by, redeemed_at)
values
    (:org_b, 'ivan@bench.test', 'code-for-ivan', now() + interval '1 day', null, null),
    (:org_b, 'mallory@bench.test', 'code-expired', now() - interval '1 day', null, null),
    (:org_b, 'dora@bench.test', 'code-redeemed', now() + interval '1 day', :dora, now());
insert into storage.objects (bucket_id, name)
values
    ('assets', 'a8000000-0000-4000-8000-000000000001/poster.png'),
    ('assets', 'b8000000-0000-4000-8000-000000000001/film.mov');
insert into realtime.messages (topic, extension, event, payload)
values
    ('project:a8000000-0000-4000-8000-000000000001', 'broadcast', 'n', '1'),
    ('project:b8000000-0000-4000-8000-000000000001', 'broadcast', 'n', '2');
