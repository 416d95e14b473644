-- Digests, HMAC and random bytes are the real thing; crypt() and the ciphers only round-trip.
@include _sha1@

create function @extschema@.digest(bytea, text)
returns bytea
language plpgsql immutable strict parallel safe
as $$
begin
    return case lower($2)
        when 'md5' then decode(md5($1), 'hex')
        when 'sha1' then @sha1@($1)
        when 'sha224' then sha224($1)
        when 'sha256' then sha256($1)
        when 'sha384' then sha384($1)
        when 'sha512' then sha512($1)
    end;
end;
$$;

create function @extschema@.digest(text, text)
returns bytea
language sql immutable strict parallel safe
as $$ select @extschema@.digest(convert_to($1, 'UTF8'), $2) $$;

create function @extschema@.hmac(bytea, bytea, text)
returns bytea
language plpgsql immutable strict parallel safe
as $$
declare
    v_block integer := case when lower($3) in ('sha384', 'sha512') then 128 else 64 end;
    v_key bytea := case
        when length($2) > v_block then @extschema@.digest($2, $3) else $2
    end;
    v_inner bytea := decode(repeat('36', v_block), 'hex');
    v_outer bytea := decode(repeat('5c', v_block), 'hex');
    i integer;
begin
    for i in 0 .. length(v_key) - 1 loop
        v_inner := set_byte(v_inner, i, 54 # get_byte(v_key, i));
        v_outer := set_byte(v_outer, i, 92 # get_byte(v_key, i));
    end loop;
    return @extschema@.digest(v_outer || @extschema@.digest(v_inner || $1, $3), $3);
end;
$$;

create function @extschema@.hmac(text, text, text)
returns bytea
language sql immutable strict parallel safe
as $$ select @extschema@.hmac(convert_to($1, 'UTF8'), convert_to($2, 'UTF8'), $3) $$;

create function @extschema@.gen_random_bytes(integer)
returns bytea
language sql volatile strict parallel safe
as $$
    select substring(
        string_agg(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), ''::bytea)
        from 1 for $1
    )
    from generate_series(0, $1 / 32)
$$;

create function @extschema@.gen_random_uuid()
returns uuid
language sql volatile parallel safe
as $$ select pg_catalog.gen_random_uuid() $$;

create function @extschema@.gen_salt(text, integer)
returns text
language sql volatile strict parallel safe
as $$
    select case
        when $1 = 'bf' then '$2a$' || lpad(coalesce(nullif($2, 0), 6)::text, 2, '0') || '$'
        when $1 = 'md5' then '$1$'
        else ''
    end || substring(
        translate(encode(@extschema@.gen_random_bytes(24), 'base64'), '+=', '..')
        from 1 for case $1 when 'bf' then 22 when 'md5' then 8 else 2 end
    )
$$;

create function @extschema@.gen_salt(text)
returns text
language sql volatile strict parallel safe
as $$ select @extschema@.gen_salt($1, 0) $$;

create function @extschema@.crypt(text, text)
returns text
language sql immutable strict parallel safe
as $$
    -- Looks like the hash it stands for and verifies itself; it is not bcrypt.
    with salt as (
        select case
            when $2 like '$2%' then substring($2 from 1 for 29)
            when $2 like '$1$%' then substring($2 from 1 for 11) || '$'
            else substring($2 from 1 for 2)
        end as text
    )
    select text || substring(
        translate(encode(sha256(convert_to(text || $1, 'UTF8')), 'base64'), '+=', '..')
        from 1 for 31
    )
    from salt
$$;

create function @extschema@.harmonia_stream(p_data bytea, p_key bytea)
returns bytea
language plpgsql immutable strict parallel safe
as $$
declare
    v_result bytea := p_data;
    v_block bytea;
    i integer;
begin
    for i in 0 .. length(p_data) - 1 loop
        if i % 32 = 0 then
            v_block := sha256(p_key || int4send(i / 32));
        end if;
        v_result := set_byte(v_result, i, get_byte(p_data, i) # get_byte(v_block, i % 32));
    end loop;
    return v_result;
end;
$$;

create function @extschema@.encrypt(bytea, bytea, text)
returns bytea language sql immutable strict parallel safe
as $$ select @extschema@.harmonia_stream($1, $2) $$;
create function @extschema@.decrypt(bytea, bytea, text)
returns bytea language sql immutable strict parallel safe
as $$ select @extschema@.harmonia_stream($1, $2) $$;
create function @extschema@.encrypt_iv(bytea, bytea, bytea, text)
returns bytea language sql immutable strict parallel safe
as $$ select @extschema@.harmonia_stream($1, $2 || $3) $$;
create function @extschema@.decrypt_iv(bytea, bytea, bytea, text)
returns bytea language sql immutable strict parallel safe
as $$ select @extschema@.harmonia_stream($1, $2 || $3) $$;

create function @extschema@.pgp_sym_encrypt_bytea(bytea, text, text default '')
returns bytea language sql volatile strict parallel safe
as $$
    select salt || @extschema@.harmonia_stream(
        sha256(convert_to($2, 'UTF8')) || $1, convert_to($2, 'UTF8') || salt
    )
    from (select @extschema@.gen_random_bytes(16) as salt) as s
$$;
create function @extschema@.pgp_sym_decrypt_bytea(bytea, text, text default '')
returns bytea language plpgsql immutable strict parallel safe
as $$
declare
    v_plain bytea := @extschema@.harmonia_stream(
        substring($1 from 17), convert_to($2, 'UTF8') || substring($1 from 1 for 16)
    );
begin
    if substring(v_plain from 1 for 32) is distinct from sha256(convert_to($2, 'UTF8')) then
        raise exception 'Wrong key or corrupt data'
            using errcode = 'external_routine_invocation_exception';
    end if;
    return substring(v_plain from 33);
end;
$$;
create function @extschema@.pgp_sym_encrypt(text, text, text default '')
returns bytea language sql volatile strict parallel safe
as $$ select @extschema@.pgp_sym_encrypt_bytea(convert_to($1, 'UTF8'), $2, $3) $$;
create function @extschema@.pgp_sym_decrypt(bytea, text, text default '')
returns text language sql immutable strict parallel safe
as $$ select convert_from(@extschema@.pgp_sym_decrypt_bytea($1, $2, $3), 'UTF8') $$;

create function @extschema@.armor(bytea)
returns text language sql immutable strict parallel safe
as $$
    select E'-----BEGIN PGP MESSAGE-----\n\n' || encode($1, 'base64')
        || E'\n-----END PGP MESSAGE-----\n'
$$;
create function @extschema@.dearmor(text)
returns bytea language sql immutable strict parallel safe
as $$ select decode(regexp_replace($1, '-----[^-]+-----', '', 'g'), 'base64') $$;
