set local lock_timeout = '4s';

-- Record objects carry an owner and a team, so each command exists in three reaches:
-- everything in the organization, the records of one's teams, and one's own.
insert into public.permissions (key, description, writes, step_up)
select
    o.object || '.' || c.command || s.suffix,
    c.verb || ' ' || s.reach || o.label || s.ending,
    c.command <> 'read',
    false
from (
    values
    ('companies', 'companies'),
    ('contacts', 'contacts'),
    ('deals', 'deals'),
    ('activities', 'tasks, notes, calls and meetings'),
    ('conversations', 'conversations and their messages'),
    ('files', 'files')
) as o (object, label)
cross join (
    values
    ('read', 'See'),
    ('write', 'Create and change'),
    ('delete', 'Delete and restore')
) as c (command, verb)
cross join (
    values
    ('', 'all ', ''),
    ('_team', '', ' of one''s teams'),
    ('_own', '', ' one owns')
) as s (suffix, reach, ending);

-- Who holds the whole of a reach is not asked for its parts (see partial_reach), so the whole may
-- not be refused where a part is allowed: without a second factor, or while closing.
create function private.tg_permissions__reaches_agree()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key text;
begin
    lock table public.permissions in share row exclusive mode;
    select pg_catalog.min(part.key)
    into v_key
    from public.permissions as part
    inner join public.permissions as whole
        on pg_catalog.regexp_replace(part.key, '_(team|own)$', '') = whole.key
    where part.writes <> whole.writes or part.step_up <> whole.step_up;
    if v_key is not null then
        perform private.fail(
            409,
            'permission.reach',
            pg_catalog.format('%s and the same for whole organizations would differ', v_key),
            'set writes and step_up of all reaches of a permission in one statement'
        );
    end if;
    return null;
end;
$$;
comment on function private.tg_permissions__reaches_agree() is
'Keeps what all, one''s teams'' and one''s own records ask for the same.';

create trigger tg_permissions__reaches_agree
after insert or update on public.permissions
for each statement
execute function private.tg_permissions__reaches_agree();

-- Configuration and jobs belong to the organization as a whole.
insert into public.permissions (key, description, writes, step_up) values
('pipelines.read', 'See pipelines and their stages', false, false),
('pipelines.write', 'Create and change pipelines and their stages', true, false),
('pipelines.delete', 'Delete pipelines and stages that no deal uses', true, false),
('tags.read', 'See tags', false, false),
('tags.write', 'Create and change tags', true, false),
('tags.delete', 'Delete tags', true, false),
('custom_fields.read', 'See custom field definitions', false, false),
('custom_fields.write', 'Create and change custom field definitions', true, false),
('custom_fields.delete', 'Delete custom field definitions', true, false),
('imports.read', 'See imports and their rows', false, false),
('imports.write', 'Start and change imports', true, false),
('imports.delete', 'Delete imports', true, false),
('exports.read', 'See which exports were made', false, false),
-- Taking data away in bulk always needs the second factor.
('exports.write', 'Export data in bulk', true, true),
('exports.delete', 'Delete exports', true, false);

-- Each built-in role holds what the one below it holds, so that whoever may invite or promote
-- a person always holds every permission that is given away.
insert into public.builtin_role_permissions (role, permission)
select r.role, p.key
from public.permissions as p
cross join (values ('owner'), ('admin'), ('manager'), ('member'), ('viewer')) as r (role)
where
    split_part(p.key, '.', 1) in (
        'companies', 'contacts', 'deals', 'activities', 'conversations', 'files',
        'pipelines', 'tags', 'custom_fields', 'imports', 'exports'
    )
    and (
        r.role in ('owner', 'admin')
        -- Viewers read everything but correspondence.
        or p.key in (
            'companies.read', 'contacts.read', 'deals.read', 'activities.read', 'files.read',
            'pipelines.read', 'tags.read', 'custom_fields.read'
        )
        -- Members change and delete what they own, and read the correspondence of their teams.
        or (
            r.role in ('manager', 'member')
            and (
                p.key ~ '\.(read|write|delete)_own$'
                or p.key in ('conversations.read_team', 'imports.read', 'tags.write')
            )
        )
        -- Managers do so for their teams, read all correspondence, and look after the set-up.
        or (
            r.role = 'manager'
            and (
                p.key ~ '\.(read|write|delete)_team$'
                or p.key in (
                    'conversations.read', 'tags.delete', 'imports.write', 'imports.delete',
                    'pipelines.write', 'custom_fields.write'
                )
            )
        )
    );
