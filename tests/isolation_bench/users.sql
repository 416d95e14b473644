-- The accounts of actors.py. Loaded before a schema's own seed.sql, as superuser.
insert into auth.users (id, email, is_anonymous)
values
    (:alice, 'alice@bench.test', false),
    (:amy, 'amy@bench.test', false),
    (:adam, 'adam@bench.test', false),
    (:vera, 'vera@bench.test', false),
    (:sam, 'sam@bench.test', false),
    (:dora, 'dora@bench.test', false),
    (:xena, 'xena@bench.test', false),
    (:bob, 'bob@bench.test', false),
    (:beth, 'beth@bench.test', false),
    (:tess, 'tess@bench.test', false),
    (:carl, 'carl@bench.test', false),
    (:ivan, 'ivan@bench.test', false),
    (:mallory, 'mallory@bench.test', false),
    (:ghost, null, true);
