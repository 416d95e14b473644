-- SHA-1 as FIPS 180-4 describes it: the core of PostgreSQL has only its successors.
create function @sha1@(p_data bytea)
returns bytea
language plpgsql immutable strict parallel safe
set search_path = pg_catalog
as $$
declare
    h0 bigint := 1732584193;
    h1 bigint := 4023233417;
    h2 bigint := 2562383102;
    h3 bigint := 271733878;
    h4 bigint := 3285377520;
    a bigint; b bigint; c bigint; d bigint; e bigint; f bigint; k bigint; t bigint;
    w bigint[];
    m constant bigint := 4294967295;
    v_padding integer := (119 - (length(p_data) % 64)) % 64;
    v_data bytea := p_data || '\x80'::bytea || decode(repeat('00', v_padding), 'hex')
        || int8send(length(p_data)::bigint * 8);
    v_chunk integer;
    i integer;
begin
    for v_chunk in 0 .. length(v_data) / 64 - 1 loop
        for i in 0 .. 15 loop
            w[i] := (get_byte(v_data, v_chunk * 64 + i * 4)::bigint << 24)
                | (get_byte(v_data, v_chunk * 64 + i * 4 + 1)::bigint << 16)
                | (get_byte(v_data, v_chunk * 64 + i * 4 + 2)::bigint << 8)
                | get_byte(v_data, v_chunk * 64 + i * 4 + 3)::bigint;
        end loop;
        for i in 16 .. 79 loop
            t := w[i - 3] # w[i - 8] # w[i - 14] # w[i - 16];
            w[i] := ((t << 1) | (t >> 31)) & m;
        end loop;
        a := h0; b := h1; c := h2; d := h3; e := h4;
        for i in 0 .. 79 loop
            if i < 20 then
                f := (b & c) | ((~b & m) & d); k := 1518500249;
            elsif i < 40 then
                f := b # c # d; k := 1859775393;
            elsif i < 60 then
                f := (b & c) | (b & d) | (c & d); k := 2400959708;
            else
                f := b # c # d; k := 3395469782;
            end if;
            t := ((((a << 5) | (a >> 27)) & m) + f + e + k + w[i]) & m;
            e := d; d := c; c := ((b << 30) | (b >> 2)) & m; b := a; a := t;
        end loop;
        h0 := (h0 + a) & m; h1 := (h1 + b) & m; h2 := (h2 + c) & m; h3 := (h3 + d) & m;
        h4 := (h4 + e) & m;
    end loop;
    return substring(int8send(h0) from 5) || substring(int8send(h1) from 5)
        || substring(int8send(h2) from 5) || substring(int8send(h3) from 5)
        || substring(int8send(h4) from 5);
end;
$$;
