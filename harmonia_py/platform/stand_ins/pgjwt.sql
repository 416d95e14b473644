-- Signs and verifies HS256, HS384 and HS512 tokens, as the extension does.
create function @extschema@.url_encode(data bytea)
returns text language sql immutable strict
as $$ select translate(encode(data, 'base64'), E'+/=\n', '-_') $$;
create function @extschema@.url_decode(data text)
returns bytea language sql immutable strict
as $$
    select decode(
        rpad(translate(data, '-_', '+/'), ((length(data) + 3) / 4) * 4, '='), 'base64'
    )
$$;
create function @extschema@.algorithm_sign(signables text, secret text, algorithm text)
returns text language plpgsql immutable strict
as $$
declare
    v_hash text := case algorithm when 'HS256' then 'sha256' when 'HS384' then 'sha384'
        when 'HS512' then 'sha512' end;
    v_block integer := case algorithm when 'HS256' then 64 else 128 end;
    v_key bytea := convert_to(secret, 'UTF8');
    v_inner bytea := decode(repeat('36', v_block), 'hex');
    v_outer bytea := decode(repeat('5c', v_block), 'hex');
    v_data bytea;
    i integer;
begin
    if v_hash is null then
        return null;
    end if;
    if length(v_key) > v_block then
        execute format('select %I($1)', v_hash) into v_key using v_key;
    end if;
    for i in 0 .. length(v_key) - 1 loop
        v_inner := set_byte(v_inner, i, 54 # get_byte(v_key, i));
        v_outer := set_byte(v_outer, i, 92 # get_byte(v_key, i));
    end loop;
    v_data := v_inner || convert_to(signables, 'UTF8');
    execute format('select %I($1 || %I($2))', v_hash, v_hash) into v_data using v_outer, v_data;
    return @extschema@.url_encode(v_data);
end;
$$;
create function @extschema@.sign(payload json, secret text, algorithm text default 'HS256')
returns text language sql immutable strict
as $$
    with signables as (
        select @extschema@.url_encode(convert_to(
            '{"alg":"' || algorithm || '","typ":"JWT"}', 'UTF8'
        )) || '.' || @extschema@.url_encode(convert_to(payload::text, 'UTF8')) as data
    )
    select data || '.' || @extschema@.algorithm_sign(data, secret, algorithm) from signables
$$;
create function @extschema@.try_cast_double(inp text)
returns double precision language plpgsql immutable
as $$
begin
    return inp::double precision;
exception when others then
    return null;
end;
$$;
create function @extschema@.verify(token text, secret text, algorithm text default 'HS256')
returns table (header json, payload json, valid boolean) language sql stable strict
as $$
    select
        convert_from(@extschema@.url_decode(r[1]), 'utf8')::json,
        p.payload,
        r[3] = @extschema@.algorithm_sign(r[1] || '.' || r[2], secret, algorithm)
        and extract(epoch from now()) between
        coalesce(@extschema@.try_cast_double(p.payload ->> 'nbf'), 0)
        and coalesce(@extschema@.try_cast_double(p.payload ->> 'exp'), 'infinity')
    from
        regexp_split_to_array(token, '\.') as r,
        lateral (
            select convert_from(@extschema@.url_decode(r[2]), 'utf8')::json as payload
        ) as p
$$;
