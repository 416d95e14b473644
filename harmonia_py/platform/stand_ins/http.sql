-- The types and functions exist; every answer says that nothing was sent.
create domain @extschema@.http_method as text;
create type @extschema@.http_header as (field varchar, value varchar);
create type @extschema@.http_response as (
    status integer, content_type varchar, headers @extschema@.http_header[], content varchar
);
create type @extschema@.http_request as (
    method @extschema@.http_method, uri varchar, headers @extschema@.http_header[],
    content_type varchar, content varchar
);
create function @extschema@.http(request @extschema@.http_request)
returns @extschema@.http_response language sql volatile
as $$
    select row(
        503, 'text/plain', array[]::@extschema@.http_header[], 'stand-in: no request was sent'
    )::@extschema@.http_response
$$;
create function @extschema@.http_header(field varchar, value varchar)
returns @extschema@.http_header language sql
as $$ select row(field, value)::@extschema@.http_header $$;
create function @extschema@.http_get(uri varchar)
returns @extschema@.http_response language sql
as $$ select @extschema@.http(row('GET', uri, null, null, null)::@extschema@.http_request) $$;
create function @extschema@.http_get(uri varchar, data jsonb)
returns @extschema@.http_response language sql as $$ select @extschema@.http_get(uri) $$;
create function @extschema@.http_post(uri varchar, content varchar, content_type varchar)
returns @extschema@.http_response language sql
as $$
    select @extschema@.http(
        row('POST', uri, null, content_type, content)::@extschema@.http_request
    )
$$;
create function @extschema@.http_post(uri varchar, data jsonb)
returns @extschema@.http_response language sql
as $$ select @extschema@.http_post(uri, data::varchar, 'application/json') $$;
create function @extschema@.http_put(uri varchar, content varchar, content_type varchar)
returns @extschema@.http_response language sql
as $$
    select @extschema@.http(
        row('PUT', uri, null, content_type, content)::@extschema@.http_request
    )
$$;
create function @extschema@.http_patch(uri varchar, content varchar, content_type varchar)
returns @extschema@.http_response language sql
as $$
    select @extschema@.http(
        row('PATCH', uri, null, content_type, content)::@extschema@.http_request
    )
$$;
create function @extschema@.http_delete(uri varchar)
returns @extschema@.http_response language sql
as $$ select @extschema@.http(row('DELETE', uri, null, null, null)::@extschema@.http_request) $$;
create function @extschema@.http_delete(uri varchar, content varchar, content_type varchar)
returns @extschema@.http_response language sql as $$ select @extschema@.http_delete(uri) $$;
create function @extschema@.http_head(uri varchar)
returns @extschema@.http_response language sql
as $$ select @extschema@.http(row('HEAD', uri, null, null, null)::@extschema@.http_request) $$;
create function @extschema@.http_set_curlopt(curlopt varchar, value varchar)
returns boolean language sql as $$ select true $$;
create function @extschema@.http_reset_curlopt()
returns boolean language sql as $$ select true $$;
create function @extschema@.http_list_curlopt(out curlopt text, out value text)
returns setof record language sql as $$ select null::text, null::text where false $$;
create function @extschema@.urlencode(string varchar)
returns text language sql immutable strict
as $$
    select string_agg(
        case
            when c ~ '[A-Za-z0-9_.-]' then c
            when c = ' ' then '+'
            else regexp_replace(upper(encode(convert_to(c, 'UTF8'), 'hex')), '(..)', '%\1', 'g')
        end, '' order by n
    )
    from regexp_split_to_table(string, '') with ordinality as t (c, n)
$$;
create function @extschema@.urlencode(data jsonb)
returns text language sql immutable strict
as $$
    select string_agg(
        @extschema@.urlencode(key::varchar) || '=' || @extschema@.urlencode(value::varchar), '&'
    )
    from jsonb_each_text(data)
$$;
create function @extschema@.text_to_bytea(data text)
returns bytea language sql immutable strict as $$ select convert_to(data, 'UTF8') $$;
create function @extschema@.bytea_to_text(data bytea)
returns text language sql immutable strict as $$ select convert_from(data, 'UTF8') $$;
