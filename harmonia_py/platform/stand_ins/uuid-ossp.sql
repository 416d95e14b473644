-- Complete: every function of the extension, with the versions that RFC 9562 describes.
@include _sha1@

create function @extschema@.uuid_nil()
returns uuid language sql immutable parallel safe
as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;
create function @extschema@.uuid_ns_dns()
returns uuid language sql immutable parallel safe
as $$ select '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function @extschema@.uuid_ns_url()
returns uuid language sql immutable parallel safe
as $$ select '6ba7b811-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function @extschema@.uuid_ns_oid()
returns uuid language sql immutable parallel safe
as $$ select '6ba7b812-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function @extschema@.uuid_ns_x500()
returns uuid language sql immutable parallel safe
as $$ select '6ba7b814-9dad-11d1-80b4-00c04fd430c8'::uuid $$;

create function @extschema@.uuid_generate_v4()
returns uuid language sql volatile parallel safe
as $$ select pg_catalog.gen_random_uuid() $$;

create function @extschema@.harmonia_uuid(p_bytes bytea, p_version integer)
returns uuid language sql immutable strict parallel safe
as $$
    select encode(
        set_byte(
            set_byte(p_bytes, 6, (get_byte(p_bytes, 6) & 15) | (p_version << 4)),
            8, (get_byte(p_bytes, 8) & 63) | 128
        ), 'hex'
    )::uuid
$$;

create function @extschema@.uuid_generate_v1()
returns uuid language sql volatile parallel safe
as $$
    -- Ticks of 100 ns since 1582-10-15, low part first; node and clock are random.
    select @extschema@.harmonia_uuid(
        substring(ticks from 5 for 4) || substring(ticks from 3 for 2)
        || substring(ticks from 1 for 2)
        || substring(uuid_send(pg_catalog.gen_random_uuid()) from 9 for 8), 1
    )
    from (
        select int8send(
            (extract(epoch from clock_timestamp()) * 10000000)::bigint + 122192928000000000
        ) as ticks
    ) as t
$$;
create function @extschema@.uuid_generate_v1mc()
returns uuid language sql volatile parallel safe
as $$ select @extschema@.uuid_generate_v1() $$;
create function @extschema@.uuid_generate_v3(namespace uuid, name text)
returns uuid language sql immutable strict parallel safe
as $$
    select @extschema@.harmonia_uuid(
        decode(md5(uuid_send(namespace) || convert_to(name, 'UTF8')), 'hex'), 3
    )
$$;
create function @extschema@.uuid_generate_v5(namespace uuid, name text)
returns uuid language sql immutable strict parallel safe
as $$
    select @extschema@.harmonia_uuid(
        substring(
            @sha1@(uuid_send(namespace) || convert_to(name, 'UTF8')) from 1 for 16
        ), 5
    )
$$;
