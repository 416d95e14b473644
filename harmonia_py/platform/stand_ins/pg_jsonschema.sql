-- Judges type, enum, required, properties, additionalProperties, items and the simple bounds.
create function @extschema@.jsonschema_validation_errors(schema json, instance json)
returns text[]
language plpgsql immutable strict
set search_path = pg_catalog
as $$
declare
    s jsonb := schema::jsonb;
    v jsonb := instance::jsonb;
    v_type text := jsonb_typeof(v);
    v_errors text[] := '{}';
    k text;
    e jsonb;
begin
    if jsonb_typeof(s) <> 'object' then
        return case when s = 'false' then array['False schema does not allow ' || v::text]
            else v_errors end;
    end if;
    if s ? 'type' and not exists (
        select from jsonb_array_elements_text(
            case jsonb_typeof(s -> 'type') when 'array' then s -> 'type'
                else jsonb_build_array(s -> 'type') end
        ) as t (name)
        where t.name = v_type
            or (t.name = 'integer' and v_type = 'number' and v::numeric % 1 = 0)
    ) then
        v_errors := v_errors || format('%s is not of type %s', v, s -> 'type');
    end if;
    if s ? 'enum' and not exists (
        select from jsonb_array_elements(s -> 'enum') as x (item) where x.item = v
    ) then
        v_errors := v_errors || format('%s is not one of %s', v, s -> 'enum');
    end if;
    if v_type = 'object' then
        for k in select jsonb_array_elements_text(coalesce(s -> 'required', '[]')) loop
            if not v ? k then
                v_errors := v_errors || format('"%s" is a required property', k);
            end if;
        end loop;
        for k, e in select * from jsonb_each(v) loop
            if s -> 'properties' ? k then
                v_errors := v_errors || @extschema@.jsonschema_validation_errors(
                    (s -> 'properties' -> k)::json, e::json
                );
            elsif s -> 'additionalProperties' = 'false' then
                v_errors := v_errors || format('property "%s" is not allowed', k);
            end if;
        end loop;
    elsif v_type = 'array' and s ? 'items' then
        for e in select jsonb_array_elements(v) loop
            v_errors := v_errors || @extschema@.jsonschema_validation_errors(
                (s -> 'items')::json, e::json
            );
        end loop;
    elsif v_type = 'string' then
        k := v #>> '{}';
        if length(k) > coalesce((s ->> 'maxLength')::integer, length(k)) then
            v_errors := v_errors || format('%s is longer than %s', v, s -> 'maxLength');
        end if;
        if length(k) < coalesce((s ->> 'minLength')::integer, 0) then
            v_errors := v_errors || format('%s is shorter than %s', v, s -> 'minLength');
        end if;
        if s ? 'pattern' and k !~ (s ->> 'pattern') then
            v_errors := v_errors || format('%s does not match %s', v, s -> 'pattern');
        end if;
    elsif v_type = 'number' then
        if v::numeric < (s ->> 'minimum')::numeric or v::numeric > (s ->> 'maximum')::numeric then
            v_errors := v_errors || format('%s is out of bounds', v);
        end if;
    end if;
    return v_errors;
end;
$$;
create function @extschema@.json_matches_schema(schema json, instance json)
returns boolean language sql immutable strict
as $$ select cardinality(@extschema@.jsonschema_validation_errors(schema, instance)) = 0 $$;
create function @extschema@.jsonb_matches_schema(schema json, instance jsonb)
returns boolean language sql immutable strict
as $$ select cardinality(@extschema@.jsonschema_validation_errors(schema, instance::json)) = 0 $$;
create function @extschema@.jsonschema_is_valid(schema json)
returns boolean language sql immutable strict
as $$ select json_typeof(schema) in ('object', 'boolean') $$;
