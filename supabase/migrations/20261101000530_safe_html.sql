set local lock_timeout = '4s';

-- Rich text ---------------------------------------------------------------------------------
create function private.is_safe_html(p_html text)
returns boolean
language sql
immutable
parallel safe
strict
set search_path = pg_catalog, pg_temp
as $$
    -- The canonical form that harmonia_py.html.sanitize() writes, and nothing else: escaped text,
    -- tags of the list without attributes, and links of known schemes. What does not fit this
    -- grammar is refused, so no disagreement between parsers can turn it into a script.
    select p_html ~ (
        '^(?:[^<>&]|&(?:amp|lt|gt|quot|nbsp);'
        '|</?(?:a|b|blockquote|br|code|del|div|em|h1|h2|h3|h4|hr|i|ins|li|ol|p|pre|s|span|strong'
        '|sub|sup|table|tbody|td|th|thead|tr|u|ul)>'
        '|<a(?: title="(?:[^"<>&[:cntrl:]]|&(?:amp|lt|gt|quot|nbsp);)*")?'
        '(?: href="(?:https?://|mailto:|tel:)(?:[^"<>&[:cntrl:]]|&(?:amp|lt|gt|quot|nbsp);)*")?'
        '(?: title="(?:[^"<>&[:cntrl:]]|&(?:amp|lt|gt|quot|nbsp);)*")?'
        ' rel="noopener noreferrer nofollow">)*$'
    )
$$;
comment on function private.is_safe_html(text) is
'Whether rich text is in the one form that may be stored and rendered as it is.';
-- A CHECK runs with the rights of whoever writes.
grant execute on function private.is_safe_html(text) to anon, authenticated, service_role;

-- The tables are new, so checking their rows blocks nobody.
alter table public.activities add constraint activities_body_html_safe
check (private.is_safe_html(body_html)) not valid;
-- squawk-ignore constraint-missing-not-valid
alter table public.activities validate constraint activities_body_html_safe;

alter table public.messages add constraint messages_body_html_safe
check (private.is_safe_html(body_html)) not valid;
-- squawk-ignore constraint-missing-not-valid
alter table public.messages validate constraint messages_body_html_safe;

alter table public.call_transcripts add constraint call_transcripts_content_html_safe
check (private.is_safe_html(content_html)) not valid;
-- squawk-ignore constraint-missing-not-valid
alter table public.call_transcripts validate constraint call_transcripts_content_html_safe;

alter table public.call_transcripts add constraint call_transcripts_summary_html_safe
check (private.is_safe_html(summary_html)) not valid;
-- squawk-ignore constraint-missing-not-valid
alter table public.call_transcripts validate constraint call_transcripts_summary_html_safe;
