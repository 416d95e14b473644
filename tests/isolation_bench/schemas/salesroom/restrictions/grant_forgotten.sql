-- channel: write
-- object: public.companies
-- says: A tidied grant list lost the right to insert.
revoke insert on public.companies from authenticated;
-- request as adam
insert into public.companies (account_id, name) values (:org_a, 'New') returning id;
-- works when rows
