-- The entry points exist; every query is answered with an error.
create function graphql.resolve(
    query text, variables jsonb default '{}', "operationName" text default null,
    extensions jsonb default null
)
returns jsonb language sql
as $$
    select jsonb_build_object('errors', jsonb_build_array(
        jsonb_build_object('message', 'pg_graphql is a stand-in here')
    ))
$$;
create sequence graphql.seq_schema_version;
create function graphql.get_schema_version()
returns integer language sql security definer
as $$ select last_value::integer from graphql.seq_schema_version $$;
create function graphql.comment_directive(comment_ text)
returns jsonb language sql immutable
as $$ select coalesce((regexp_match(comment_, '@graphql\((.+)\)'))[1]::jsonb, '{}') $$;
create function graphql.exception(message text)
returns text language plpgsql as $$ begin raise exception using message = message; end $$;
grant usage on schema graphql to postgres, anon, authenticated, service_role;
