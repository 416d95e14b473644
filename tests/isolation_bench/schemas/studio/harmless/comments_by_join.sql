-- channel: policy rewrite
-- object: public.comments
-- says: The comment's policy names the projects itself instead of relying on the task's.
drop policy read on public.comments;
create policy read on public.comments for select to authenticated
using (
    exists (
        select
        from public.tasks as t
        where t.id = comments.task_id and t.project_id in (select app.visible_project_ids())
    )
);
-- request as ivan
select from public.comments where body = 'Comment of Atlas';
-- works when rows
