-- channel: lifecycle
-- object: public.deals
-- says: The restrictive policy went missing, so a closed account takes new deals.
drop policy "closed is read-only: insert" on public.deals;
-- exploit as carl
insert into public.deals (account_id, title) values (:org_c, 'After the end');
-- leaks when exists (select from public.deals where title = 'After the end')
