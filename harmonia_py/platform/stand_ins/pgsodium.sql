-- Keys and the deterministic cipher that projects call. It encodes; it protects nothing.
create type pgsodium.key_status as enum ('default', 'valid', 'invalid', 'expired');
create type pgsodium.key_type as enum (
    'aead-ietf', 'aead-det', 'hmacsha512', 'hmacsha256', 'auth', 'shorthash', 'generichash', 'kdf',
    'secretbox', 'secretstream', 'stream_xchacha20'
);
create table pgsodium.key (
    id uuid not null default gen_random_uuid() primary key,
    status pgsodium.key_status default 'valid',
    created timestamptz not null default current_timestamp,
    expires timestamptz,
    key_type pgsodium.key_type,
    key_id bigserial,
    key_context bytea default '\x7067736f6469756d',
    name text unique,
    associated_data text default 'associated',
    raw_key bytea,
    raw_key_nonce bytea,
    parent_key uuid,
    comment text,
    user_data text
);
create view pgsodium.valid_key as
select * from pgsodium.key where status in ('valid', 'default');
create function pgsodium.create_key(
    key_type pgsodium.key_type default 'aead-det', name text default null,
    raw_key bytea default null, raw_key_nonce bytea default null, parent_key uuid default null,
    key_context bytea default '\x7067736f6469756d', expires timestamptz default null,
    associated_data text default ''
)
returns pgsodium.valid_key language sql security definer
set search_path = ''
as $$
    insert into pgsodium.key (key_type, name, raw_key, raw_key_nonce, parent_key, expires)
    values (
        create_key.key_type, create_key.name, create_key.raw_key, create_key.raw_key_nonce,
        create_key.parent_key, create_key.expires
    )
    returning *
$$;
create function pgsodium.randombytes_buf(size integer)
returns bytea language sql volatile
as $$
    select substring(string_agg(uuid_send(gen_random_uuid()), ''::bytea) from 1 for size)
    from generate_series(0, size / 16)
$$;
create function pgsodium.crypto_aead_det_noncegen()
returns bytea language sql volatile as $$ select pgsodium.randombytes_buf(32) $$;
create function pgsodium.crypto_aead_det_keygen()
returns bytea language sql volatile as $$ select pgsodium.randombytes_buf(64) $$;
create function pgsodium.crypto_aead_det_encrypt(
    message bytea, additional bytea, key_uuid uuid, nonce bytea default null
)
returns bytea language sql immutable
as $$ select sha256(additional || uuid_send(key_uuid)) || message $$;
create function pgsodium.crypto_aead_det_decrypt(
    message bytea, additional bytea, key_uuid uuid, nonce bytea default null
)
returns bytea language plpgsql immutable
as $$
begin
    if substring(message from 1 for 32) <> sha256(additional || uuid_send(key_uuid)) then
        raise exception 'pgsodium_crypto_aead_det_decrypt_by_id: invalid ciphertext';
    end if;
    return substring(message from 33);
end;
$$;
grant usage on schema pgsodium to pgsodium_keyiduser, postgres;
grant all on all tables in schema pgsodium to pgsodium_keyholder, postgres;
grant execute on all functions in schema pgsodium to pgsodium_keyiduser, postgres;
