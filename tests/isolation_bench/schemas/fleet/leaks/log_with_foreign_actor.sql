-- channel: forged audit
-- object: public.log_event
-- says: A definer function writes the log for whatever tenant and actor the caller names.
create function public.log_event(p_tenant uuid, p_actor uuid, p_verb text)
returns void
language sql security definer
set search_path = ''
as $$
    insert into public.activity_log (tenant_id, actor, verb, thing)
    values (p_tenant, p_actor, p_verb, 'client')
$$;
grant execute on function public.log_event(uuid, uuid, text) to authenticated;
-- exploit as mallory
select public.log_event(:org_b, :bob, 'forged');
-- leaks when exists (select from public.activity_log where tenant_id = :org_b and verb = 'forged')
