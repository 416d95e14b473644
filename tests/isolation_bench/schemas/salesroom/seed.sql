insert into public.accounts (id, name, closed_at)
values (:org_a, 'Atlas Sales', null), (:org_b, 'Borealis Sales', null), (:org_c, 'Cinder Sales', now());
insert into public.memberships (account_id, user_id, role, status, valid_until)
values
    (:org_a, :alice, 'owner', 'active', null),
    (:org_a, :amy, 'manager', 'active', null),
    (:org_a, :adam, 'seller', 'active', null),
    (:org_a, :vera, 'reader', 'active', null),
    (:org_a, :sam, 'seller', 'suspended', null),
    (:org_a, :dora, 'seller', 'left', null),
    (:org_a, :xena, 'seller', 'active', now() - interval '1 day'),
    (:org_a, :tess, 'seller', 'active', now() + interval '1 year'),
    (:org_b, :bob, 'owner', 'active', null),
    (:org_b, :beth, 'seller', 'active', null),
    (:org_b, :tess, 'manager', 'active', null),
    (:org_c, :carl, 'owner', 'active', null);
insert into public.invitations (account_id, email, role, token_hash, expires_at)
values (:org_a, 'ivan@bench.test', 'seller', sha256('for ivan'), now() + interval '1 day');
insert into public.companies (id, account_id, name, domain)
values
    ('c2000000-0000-4000-8000-00000000000a', :org_a, 'Anvil Works', 'anvil.test'),
    ('c2000000-0000-4000-8000-00000000000b', :org_b, 'Bellows Works', 'bellows.test');
insert into public.contacts (id, account_id, company_id, owner_id, first_name, last_name, email)
values
    ('c3000000-0000-4000-8000-00000000000a', :org_a, 'c2000000-0000-4000-8000-00000000000a', :dora, 'Ann', 'Anvil', 'ann@anvil.test'),
    ('c3000000-0000-4000-8000-00000000000b', :org_b, 'c2000000-0000-4000-8000-00000000000b', :beth, 'Ben', 'Bellows', 'ben@bellows.test');
insert into public.products (account_id, sku, title, price_minor)
values (:org_a, 'ANVIL-1', 'Anvil', 100), (:org_b, 'BELLOWS-1', 'Bellows', 200);
insert into public.deals (id, account_id, contact_id, product_sku, owner_id, title, amount_minor)
values
    ('d2000000-0000-4000-8000-00000000000a', :org_a, 'c3000000-0000-4000-8000-00000000000a', 'ANVIL-1', :dora, 'Ten anvils', 1000),
    ('d2000000-0000-4000-8000-00000000000b', :org_b, 'c3000000-0000-4000-8000-00000000000b', 'BELLOWS-1', :beth, 'Ten bellows', 2000),
    ('d2000000-0000-4000-8000-00000000000c', :org_c, null, null, :carl, 'Last deal', 1);
insert into public.deal_notes (id, account_id, deal_id, author_id, body)
values
    ('e2000000-0000-4000-8000-00000000000a', :org_a, 'd2000000-0000-4000-8000-00000000000a', :adam, 'Note of Atlas'),
    ('e2000000-0000-4000-8000-00000000000b', :org_b, 'd2000000-0000-4000-8000-00000000000b', :beth, 'Note of Borealis');
insert into public.activities (account_id, deal_id, kind, occurred_at, summary)
values
    (:org_a, 'd2000000-0000-4000-8000-00000000000a', 'call', '2026-02-01', 'Call of Atlas'),
    (:org_b, 'd2000000-0000-4000-8000-00000000000b', 'call', '2026-02-01', 'Call of Borealis'),
    (:org_b, null, 'mail', '2027-02-01', 'Mail of Borealis');
insert into public.account_settings (account_id, key, value)
values (:org_a, 'theme', '"dark"'), (:org_b, 'theme', '"light"');
insert into public.api_keys (account_id, label, key_hash)
values (:org_a, 'Atlas key', sha256('a')), (:org_b, 'Borealis key', sha256('b'));
insert into storage.objects (bucket_id, name)
values ('contracts', '{org_a}/anvil.pdf'), ('contracts', '{org_b}/bellows.pdf');
