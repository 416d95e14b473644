-- channel: notice
-- object: public.companies
-- says: A definer trigger warns about similar companies and names those of other accounts.
create function public.warn_similar()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    other record;
begin
    for other in
        select c.name, c.account_id
        from public.companies as c
        where left(c.domain, 2) = left(new.domain, 2) or c.domain is not null
    loop
        raise notice 'similar to % (account %)', other.name, other.account_id;
    end loop;
    return new;
end
$$;
create trigger warn_similar before insert on public.companies
for each row execute function public.warn_similar();
-- exploit as adam
insert into public.companies (account_id, name, domain) values (:org_a, 'Probe', 'be.test');
-- leaks when notice Bellows Works.*{org_b}
