create function app.note_event()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    insert into public.events (workspace_id, who, what)
    select p.workspace_id, auth.uid(), lower(tg_op) || ' task ' || new.title
    from public.projects as p
    where p.id = new.project_id;
    return null;
end
$$;
create trigger note_event after insert or update on public.tasks
for each row execute function app.note_event();

create view public.board
with (security_invoker = true) as
select t.id, t.project_id, t.title, t.state, p.name as project, p.workspace_id
from public.tasks as t
join public.projects as p on p.id = t.project_id;

create view public.board_counts
with (security_invoker = true) as
select b.workspace_id, b.project_id, b.state, count(*) as tasks
from public.board as b
group by b.workspace_id, b.project_id, b.state;
grant select on public.board, public.board_counts to authenticated;

create function public.redeem_invite(p_code text)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
    invite public.workspace_invites;
begin
    select * into invite from public.workspace_invites where code = p_code for update;
    if auth.uid() is null
        or invite.id is null
        or invite.redeemed_at is not null
        or invite.valid_until <= now()
        or invite.email is distinct from lower(auth.jwt() ->> 'email')
    then
        raise exception 'this invitation cannot be used' using errcode = 'PT403';
    end if;
    insert into public.workspace_members (workspace_id, user_id)
    values (invite.workspace_id, auth.uid())
    on conflict (workspace_id, user_id) do nothing;
    update public.workspace_invites
    set redeemed_by = auth.uid(), redeemed_at = now()
    where id = invite.id;
    return invite.workspace_id;
end
$$;

create function public.project_tree(p_project uuid)
returns table (id uuid, parent_id uuid, title text, depth integer)
language sql stable security definer
set search_path = ''
as $$
    with recursive tree as (
        select t.id, t.parent_id, t.title, 0 as depth
        from public.tasks as t
        where t.project_id = p_project
            and t.parent_id is null
            and t.project_id in (select app.visible_project_ids())
        union all
        select t.id, t.parent_id, t.title, tree.depth + 1
        from public.tasks as t
        join tree on tree.id = t.parent_id
        where t.project_id = p_project and tree.depth < 20
    )
    select * from tree
$$;

create function public.move_task(p_task uuid, p_project uuid)
returns void
language plpgsql security definer
set search_path = ''
as $$
begin
    if not exists (
        select
        from public.tasks as t
        where t.id = p_task and t.project_id in (select app.working_project_ids())
    ) or not exists (select where p_project in (select app.working_project_ids())) then
        raise exception 'not found' using errcode = 'PT404';
    end if;
    delete from public.task_links as l where p_task in (l.task_id, l.blocks_id);
    update public.tasks set parent_id = null where parent_id = p_task;
    update public.tasks set project_id = p_project, parent_id = null where id = p_task;
end
$$;

create function public.add_guest(p_project uuid, p_email text)
returns void
language plpgsql security definer
set search_path = ''
as $$
begin
    if not exists (
        select
        from public.projects as p
        where p.id = p_project and p.workspace_id in (select app.workspace_ids(true))
    ) then
        raise exception 'not found' using errcode = 'PT404';
    end if;
    -- Says nothing about whether the address has an account.
    insert into public.project_guests (project_id, user_id)
    select p_project, u.id from auth.users as u where u.email = lower(p_email)
    on conflict (project_id, user_id) do nothing;
end
$$;

grant execute on function
    public.redeem_invite(text),
    public.project_tree(uuid),
    public.move_task(uuid, uuid),
    public.add_guest(uuid, text)
to authenticated;

insert into storage.buckets (id, name, public) values ('assets', 'assets', false);

-- assets/<project>/<file>
create policy assets_read on storage.objects for select to authenticated
using (
    bucket_id = 'assets'
    and (storage.foldername(name))[1] in (select p::text from app.visible_project_ids() as p)
);
create policy assets_add on storage.objects for insert to authenticated
with check (
    bucket_id = 'assets'
    and (storage.foldername(name))[1] in (select p::text from app.working_project_ids() as p)
);

create policy project_channel on realtime.messages for select to authenticated
using (
    (select realtime.topic()) in (
        select 'project:' || p::text from app.visible_project_ids() as p
    )
);

alter publication supabase_realtime add table public.tasks, public.comments;
