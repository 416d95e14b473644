-- The tables and functions of Vault. Secrets are encoded, not encrypted: never put real ones in.
create table vault.secrets (
    id uuid not null default gen_random_uuid() primary key,
    name text,
    description text not null default '',
    secret text not null,
    key_id uuid,
    nonce bytea,
    created_at timestamptz not null default current_timestamp,
    updated_at timestamptz not null default current_timestamp
);
comment on table vault.secrets is
'Table with encrypted `secret` column for storing sensitive information on disk.';
create unique index secrets_name_idx on vault.secrets (name) where name is not null;

create view vault.decrypted_secrets as
select
    s.id,
    s.name,
    s.description,
    s.secret,
    convert_from(decode(s.secret, 'base64'), 'utf8') as decrypted_secret,
    s.key_id,
    s.nonce,
    s.created_at,
    s.updated_at
from vault.secrets as s;

create function vault.create_secret(
    new_secret text,
    new_name text default null,
    new_description text default '',
    new_key_id uuid default null
)
returns uuid
language sql security definer
set search_path = ''
as $$
    insert into vault.secrets (secret, name, description, key_id)
    values (
        pg_catalog.encode(pg_catalog.convert_to(new_secret, 'utf8'), 'base64'), new_name,
        new_description, new_key_id
    )
    returning id
$$;
create function vault.update_secret(
    secret_id uuid,
    new_secret text default null,
    new_name text default null,
    new_description text default null,
    new_key_id uuid default null
)
returns void
language sql security definer
set search_path = ''
as $$
    update vault.secrets as s
    set secret = coalesce(
            pg_catalog.encode(pg_catalog.convert_to(new_secret, 'utf8'), 'base64'), s.secret
        ),
        name = coalesce(new_name, s.name),
        description = coalesce(new_description, s.description),
        key_id = coalesce(new_key_id, s.key_id),
        updated_at = pg_catalog.now()
    where s.id = secret_id
$$;
revoke all on all tables in schema vault from public;
revoke execute on all functions in schema vault from public;
grant select, delete on table vault.secrets, vault.decrypted_secrets to postgres with grant option;
grant select, delete on table vault.secrets, vault.decrypted_secrets to service_role;
grant execute on all functions in schema vault to postgres with grant option;
grant execute on all functions in schema vault to service_role;
