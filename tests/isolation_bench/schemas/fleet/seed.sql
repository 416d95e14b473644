insert into public.tenants (id, slug, name)
values (:org_a, 'north', 'North Freight'), (:org_b, 'northwind', 'Northwind Freight');
insert into public.sites (id, tenant_id, name)
values
    ('c4000000-0000-4000-8000-00000000000a', :org_a, 'Aarhus'),
    ('c4000000-0000-4000-8000-0000000000aa', :org_a, 'Aalborg'),
    ('c4000000-0000-4000-8000-00000000000b', :org_b, 'Bergen');
insert into public.devices (id, tenant_id, site_id, serial)
values
    ('d4000000-0000-4000-8000-00000000000a', :org_a, 'c4000000-0000-4000-8000-00000000000a', 'AA0001'),
    ('d4000000-0000-4000-8000-00000000000b', :org_b, 'c4000000-0000-4000-8000-00000000000b', 'BB0001'),
    ('d4000000-0000-4000-8000-0000000000bb', :org_b, null, 'BB0002');
insert into public.readings (tenant_id, device_id, taken_at, metric, value)
values
    (:org_a, 'd4000000-0000-4000-8000-00000000000a', '2026-03-01', 'voltage', 11),
    (:org_b, 'd4000000-0000-4000-8000-00000000000b', '2026-03-01', 'voltage', 22);
insert into public.alert_rules (id, tenant_id, name, metric, above)
values
    ('e4000000-0000-4000-8000-00000000000a', :org_a, 'Rule of North', 'voltage', 1000),
    ('e4000000-0000-4000-8000-00000000000b', :org_b, 'Rule of Northwind', 'voltage', 1000);
insert into public.alerts (tenant_id, device_id, rule_id)
values
    (:org_a, 'd4000000-0000-4000-8000-00000000000a', null),
    (:org_b, 'd4000000-0000-4000-8000-00000000000b', null);
insert into public.device_credentials (tenant_id, device_id, username, secret)
values
    (:org_a, 'd4000000-0000-4000-8000-00000000000a', 'north', 'secret of north 0001'),
    (:org_b, 'd4000000-0000-4000-8000-00000000000b', 'northwind', 'secret of northwind 0001');
insert into public.maintenance_windows (tenant_id, site_id, day)
values
    (:org_a, 'c4000000-0000-4000-8000-00000000000a', '2026-04-01'),
    (:org_b, 'c4000000-0000-4000-8000-00000000000b', '2026-04-02');
insert into storage.objects (bucket_id, name)
values
    ('firmware', '{org_a}/one.bin'),
    ('firmware', '{org_b}/two.bin'),
    ('firmware', 'northwind/three.bin'),
    ('firmware', 'north/four.bin');
insert into realtime.messages (topic, extension, event, payload)
values
    ('fleet:{org_a}', 'broadcast', 'reading', '{"v": 1}'),
    ('fleet:{org_b}', 'broadcast', 'reading', '{"v": 2}');
refresh materialized view internal.daily_readings;
