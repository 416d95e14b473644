-- channel: unique oracle
-- object: public.products
-- says: A unique index over the article number alone tells which articles others sell.
create unique index products_sku on public.products (sku);
-- exploit as adam
insert into public.products (account_id, sku, title, price_minor) values (:org_a, 'NOBODY-1', 'x', 1);
insert into public.products (account_id, sku, title, price_minor) values (:org_a, 'BELLOWS-1', 'x', 1);
-- leaks when differs
