-- channel: column privilege
-- object: public.api_keys
-- says: The secret column came along with a table-wide grant, and every member may read.
grant select on public.api_keys to authenticated;
create policy "members see keys" on public.api_keys for select to authenticated
using (account_id in (select m.account_id from public.memberships as m));
-- exploit as vera
select key_hash from public.api_keys where account_id = :org_a;
-- leaks when rows
