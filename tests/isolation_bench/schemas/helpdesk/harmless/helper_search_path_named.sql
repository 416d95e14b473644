-- channel: helper rewrite
-- object: private.has_role
-- says: A search_path of public and pg_temp last, with qualified names, is as safe as an empty one.
alter function private.has_role(uuid, public.member_role []) set search_path = public, pg_temp;
-- request as adam
insert into public.customers (org_id, name) values (:org_a, 'Fine') returning id;
-- works when rows
