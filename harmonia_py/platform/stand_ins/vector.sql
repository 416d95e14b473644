-- Types, distances and index methods. An index here is a hash: it finds nothing faster.

create type @extschema@.vector;
create function @extschema@.vector_in(cstring, oid, integer)
returns @extschema@.vector language internal immutable strict parallel safe as 'textin';
create function @extschema@.vector_out(@extschema@.vector)
returns cstring language internal immutable strict parallel safe as 'textout';
create function @extschema@.vector_typmod_in(cstring[])
returns integer language internal immutable strict parallel safe as 'varchartypmodin';
create type @extschema@.vector (
    input = @extschema@.vector_in,
    output = @extschema@.vector_out,
    typmod_in = @extschema@.vector_typmod_in,
    typmod_out = varchartypmodout,
    like = text
);
create cast (@extschema@.vector as text) without function as assignment;
create cast (text as @extschema@.vector) without function as assignment;
create function @extschema@.vector_eq(@extschema@.vector, @extschema@.vector)
returns boolean language internal immutable strict parallel safe as 'texteq';
create function @extschema@.vector_hash(@extschema@.vector)
returns integer language sql immutable strict parallel safe
as $$ select pg_catalog.hashtext($1::text) $$;
create operator @extschema@.= (
    leftarg = @extschema@.vector, rightarg = @extschema@.vector, function = @extschema@.vector_eq,
    commutator = operator(@extschema@.=)
);
create operator class @extschema@.vector_ops
default for type @extschema@.vector using hash as
operator 1 @extschema@.=, function 1 @extschema@.vector_hash(@extschema@.vector);


create function @extschema@.vector_numbers(@extschema@.vector)
returns double precision[] language sql immutable strict parallel safe
as $$
    select pg_catalog.string_to_array(pg_catalog.btrim($1::text, '[] '), ',')::double precision[]
$$;
create function @extschema@.vector_to_float4(@extschema@.vector, integer, boolean)
returns real[] language sql immutable strict parallel safe
as $$ select @extschema@.vector_numbers($1)::real[] $$;
create cast (@extschema@.vector as real[])
with function @extschema@.vector_to_float4(@extschema@.vector, integer, boolean) as implicit;
create function @extschema@.real_to_vector(real[], integer, boolean)
returns @extschema@.vector language sql immutable strict parallel safe
as $$ select ('[' || pg_catalog.array_to_string($1, ',') || ']')::@extschema@.vector $$;
create cast (real[] as @extschema@.vector)
with function @extschema@.real_to_vector(real[], integer, boolean) as assignment;
create function @extschema@.double_to_vector(double precision[], integer, boolean)
returns @extschema@.vector language sql immutable strict parallel safe
as $$ select ('[' || pg_catalog.array_to_string($1, ',') || ']')::@extschema@.vector $$;
create cast (double precision[] as @extschema@.vector)
with function @extschema@.double_to_vector(double precision[], integer, boolean) as assignment;
create function @extschema@.integer_to_vector(integer[], integer, boolean)
returns @extschema@.vector language sql immutable strict parallel safe
as $$ select ('[' || pg_catalog.array_to_string($1, ',') || ']')::@extschema@.vector $$;
create cast (integer[] as @extschema@.vector)
with function @extschema@.integer_to_vector(integer[], integer, boolean) as assignment;
create function @extschema@.numeric_to_vector(numeric[], integer, boolean)
returns @extschema@.vector language sql immutable strict parallel safe
as $$ select ('[' || pg_catalog.array_to_string($1, ',') || ']')::@extschema@.vector $$;
create cast (numeric[] as @extschema@.vector)
with function @extschema@.numeric_to_vector(numeric[], integer, boolean) as assignment;
create function @extschema@.l2_distance(@extschema@.vector, @extschema@.vector)
returns double precision language sql immutable strict parallel safe
as $$
    select pg_catalog.sqrt(pg_catalog.sum((a - b) * (a - b)))
    from rows from (
        pg_catalog.unnest(@extschema@.vector_numbers($1)),
        pg_catalog.unnest(@extschema@.vector_numbers($2))
    ) as t (a, b)
$$;
create operator @extschema@.<-> (
    leftarg = @extschema@.vector, rightarg = @extschema@.vector, function = @extschema@.l2_distance,
    commutator = operator(@extschema@.<->)
);
create function @extschema@.inner_product(@extschema@.vector, @extschema@.vector)
returns double precision language sql immutable strict parallel safe
as $$
    select pg_catalog.sum(a * b)
    from rows from (
        pg_catalog.unnest(@extschema@.vector_numbers($1)),
        pg_catalog.unnest(@extschema@.vector_numbers($2))
    ) as t (a, b)
$$;
create function @extschema@.vector_negative_inner_product(@extschema@.vector, @extschema@.vector)
returns double precision language sql immutable strict parallel safe
as $$
    select -pg_catalog.sum(a * b)
    from rows from (
        pg_catalog.unnest(@extschema@.vector_numbers($1)),
        pg_catalog.unnest(@extschema@.vector_numbers($2))
    ) as t (a, b)
$$;
create operator @extschema@.<#> (
    leftarg = @extschema@.vector, rightarg = @extschema@.vector, function = @extschema@.vector_negative_inner_product,
    commutator = operator(@extschema@.<#>)
);
create function @extschema@.cosine_distance(@extschema@.vector, @extschema@.vector)
returns double precision language sql immutable strict parallel safe
as $$
    select 1 - pg_catalog.sum(a * b) / nullif(
        pg_catalog.sqrt(pg_catalog.sum(a * a)) * pg_catalog.sqrt(pg_catalog.sum(b * b)), 0
    )
    from rows from (
        pg_catalog.unnest(@extschema@.vector_numbers($1)),
        pg_catalog.unnest(@extschema@.vector_numbers($2))
    ) as t (a, b)
$$;
create operator @extschema@.<=> (
    leftarg = @extschema@.vector, rightarg = @extschema@.vector, function = @extschema@.cosine_distance,
    commutator = operator(@extschema@.<=>)
);
create function @extschema@.l1_distance(@extschema@.vector, @extschema@.vector)
returns double precision language sql immutable strict parallel safe
as $$
    select pg_catalog.sum(pg_catalog.abs(a - b))
    from rows from (
        pg_catalog.unnest(@extschema@.vector_numbers($1)),
        pg_catalog.unnest(@extschema@.vector_numbers($2))
    ) as t (a, b)
$$;
create operator @extschema@.<+> (
    leftarg = @extschema@.vector, rightarg = @extschema@.vector, function = @extschema@.l1_distance,
    commutator = operator(@extschema@.<+>)
);
create function @extschema@.vector_dims(@extschema@.vector)
returns integer language sql immutable strict parallel safe
as $$ select pg_catalog.cardinality(@extschema@.vector_numbers($1)) $$;
create function @extschema@.vector_norm(@extschema@.vector)
returns double precision language sql immutable strict parallel safe
as $$
    select pg_catalog.sqrt(pg_catalog.sum(a * a))
    from pg_catalog.unnest(@extschema@.vector_numbers($1)) as a
$$;

create type @extschema@.halfvec;
create function @extschema@.halfvec_in(cstring, oid, integer)
returns @extschema@.halfvec language internal immutable strict parallel safe as 'textin';
create function @extschema@.halfvec_out(@extschema@.halfvec)
returns cstring language internal immutable strict parallel safe as 'textout';
create function @extschema@.halfvec_typmod_in(cstring[])
returns integer language internal immutable strict parallel safe as 'varchartypmodin';
create type @extschema@.halfvec (
    input = @extschema@.halfvec_in,
    output = @extschema@.halfvec_out,
    typmod_in = @extschema@.halfvec_typmod_in,
    typmod_out = varchartypmodout,
    like = text
);
create cast (@extschema@.halfvec as text) without function as assignment;
create cast (text as @extschema@.halfvec) without function as assignment;
create function @extschema@.halfvec_eq(@extschema@.halfvec, @extschema@.halfvec)
returns boolean language internal immutable strict parallel safe as 'texteq';
create function @extschema@.halfvec_hash(@extschema@.halfvec)
returns integer language sql immutable strict parallel safe
as $$ select pg_catalog.hashtext($1::text) $$;
create operator @extschema@.= (
    leftarg = @extschema@.halfvec, rightarg = @extschema@.halfvec, function = @extschema@.halfvec_eq,
    commutator = operator(@extschema@.=)
);
create operator class @extschema@.halfvec_ops
default for type @extschema@.halfvec using hash as
operator 1 @extschema@.=, function 1 @extschema@.halfvec_hash(@extschema@.halfvec);


create function @extschema@.halfvec_numbers(@extschema@.halfvec)
returns double precision[] language sql immutable strict parallel safe
as $$
    select pg_catalog.string_to_array(pg_catalog.btrim($1::text, '[] '), ',')::double precision[]
$$;
create function @extschema@.halfvec_to_float4(@extschema@.halfvec, integer, boolean)
returns real[] language sql immutable strict parallel safe
as $$ select @extschema@.halfvec_numbers($1)::real[] $$;
create cast (@extschema@.halfvec as real[])
with function @extschema@.halfvec_to_float4(@extschema@.halfvec, integer, boolean) as implicit;
create function @extschema@.real_to_halfvec(real[], integer, boolean)
returns @extschema@.halfvec language sql immutable strict parallel safe
as $$ select ('[' || pg_catalog.array_to_string($1, ',') || ']')::@extschema@.halfvec $$;
create cast (real[] as @extschema@.halfvec)
with function @extschema@.real_to_halfvec(real[], integer, boolean) as assignment;
create function @extschema@.double_to_halfvec(double precision[], integer, boolean)
returns @extschema@.halfvec language sql immutable strict parallel safe
as $$ select ('[' || pg_catalog.array_to_string($1, ',') || ']')::@extschema@.halfvec $$;
create cast (double precision[] as @extschema@.halfvec)
with function @extschema@.double_to_halfvec(double precision[], integer, boolean) as assignment;
create function @extschema@.integer_to_halfvec(integer[], integer, boolean)
returns @extschema@.halfvec language sql immutable strict parallel safe
as $$ select ('[' || pg_catalog.array_to_string($1, ',') || ']')::@extschema@.halfvec $$;
create cast (integer[] as @extschema@.halfvec)
with function @extschema@.integer_to_halfvec(integer[], integer, boolean) as assignment;
create function @extschema@.numeric_to_halfvec(numeric[], integer, boolean)
returns @extschema@.halfvec language sql immutable strict parallel safe
as $$ select ('[' || pg_catalog.array_to_string($1, ',') || ']')::@extschema@.halfvec $$;
create cast (numeric[] as @extschema@.halfvec)
with function @extschema@.numeric_to_halfvec(numeric[], integer, boolean) as assignment;
create function @extschema@.l2_distance(@extschema@.halfvec, @extschema@.halfvec)
returns double precision language sql immutable strict parallel safe
as $$
    select pg_catalog.sqrt(pg_catalog.sum((a - b) * (a - b)))
    from rows from (
        pg_catalog.unnest(@extschema@.halfvec_numbers($1)),
        pg_catalog.unnest(@extschema@.halfvec_numbers($2))
    ) as t (a, b)
$$;
create operator @extschema@.<-> (
    leftarg = @extschema@.halfvec, rightarg = @extschema@.halfvec, function = @extschema@.l2_distance,
    commutator = operator(@extschema@.<->)
);
create function @extschema@.inner_product(@extschema@.halfvec, @extschema@.halfvec)
returns double precision language sql immutable strict parallel safe
as $$
    select pg_catalog.sum(a * b)
    from rows from (
        pg_catalog.unnest(@extschema@.halfvec_numbers($1)),
        pg_catalog.unnest(@extschema@.halfvec_numbers($2))
    ) as t (a, b)
$$;
create function @extschema@.halfvec_negative_inner_product(@extschema@.halfvec, @extschema@.halfvec)
returns double precision language sql immutable strict parallel safe
as $$
    select -pg_catalog.sum(a * b)
    from rows from (
        pg_catalog.unnest(@extschema@.halfvec_numbers($1)),
        pg_catalog.unnest(@extschema@.halfvec_numbers($2))
    ) as t (a, b)
$$;
create operator @extschema@.<#> (
    leftarg = @extschema@.halfvec, rightarg = @extschema@.halfvec, function = @extschema@.halfvec_negative_inner_product,
    commutator = operator(@extschema@.<#>)
);
create function @extschema@.cosine_distance(@extschema@.halfvec, @extschema@.halfvec)
returns double precision language sql immutable strict parallel safe
as $$
    select 1 - pg_catalog.sum(a * b) / nullif(
        pg_catalog.sqrt(pg_catalog.sum(a * a)) * pg_catalog.sqrt(pg_catalog.sum(b * b)), 0
    )
    from rows from (
        pg_catalog.unnest(@extschema@.halfvec_numbers($1)),
        pg_catalog.unnest(@extschema@.halfvec_numbers($2))
    ) as t (a, b)
$$;
create operator @extschema@.<=> (
    leftarg = @extschema@.halfvec, rightarg = @extschema@.halfvec, function = @extschema@.cosine_distance,
    commutator = operator(@extschema@.<=>)
);
create function @extschema@.l1_distance(@extschema@.halfvec, @extschema@.halfvec)
returns double precision language sql immutable strict parallel safe
as $$
    select pg_catalog.sum(pg_catalog.abs(a - b))
    from rows from (
        pg_catalog.unnest(@extschema@.halfvec_numbers($1)),
        pg_catalog.unnest(@extschema@.halfvec_numbers($2))
    ) as t (a, b)
$$;
create operator @extschema@.<+> (
    leftarg = @extschema@.halfvec, rightarg = @extschema@.halfvec, function = @extschema@.l1_distance,
    commutator = operator(@extschema@.<+>)
);
create function @extschema@.vector_dims(@extschema@.halfvec)
returns integer language sql immutable strict parallel safe
as $$ select pg_catalog.cardinality(@extschema@.halfvec_numbers($1)) $$;
create function @extschema@.l2_norm(@extschema@.halfvec)
returns double precision language sql immutable strict parallel safe
as $$
    select pg_catalog.sqrt(pg_catalog.sum(a * a))
    from pg_catalog.unnest(@extschema@.halfvec_numbers($1)) as a
$$;

create type @extschema@.sparsevec;
create function @extschema@.sparsevec_in(cstring, oid, integer)
returns @extschema@.sparsevec language internal immutable strict parallel safe as 'textin';
create function @extschema@.sparsevec_out(@extschema@.sparsevec)
returns cstring language internal immutable strict parallel safe as 'textout';
create function @extschema@.sparsevec_typmod_in(cstring[])
returns integer language internal immutable strict parallel safe as 'varchartypmodin';
create type @extschema@.sparsevec (
    input = @extschema@.sparsevec_in,
    output = @extschema@.sparsevec_out,
    typmod_in = @extschema@.sparsevec_typmod_in,
    typmod_out = varchartypmodout,
    like = text
);
create cast (@extschema@.sparsevec as text) without function as assignment;
create cast (text as @extschema@.sparsevec) without function as assignment;
create function @extschema@.sparsevec_eq(@extschema@.sparsevec, @extschema@.sparsevec)
returns boolean language internal immutable strict parallel safe as 'texteq';
create function @extschema@.sparsevec_hash(@extschema@.sparsevec)
returns integer language sql immutable strict parallel safe
as $$ select pg_catalog.hashtext($1::text) $$;
create operator @extschema@.= (
    leftarg = @extschema@.sparsevec, rightarg = @extschema@.sparsevec, function = @extschema@.sparsevec_eq,
    commutator = operator(@extschema@.=)
);
create operator class @extschema@.sparsevec_ops
default for type @extschema@.sparsevec using hash as
operator 1 @extschema@.=, function 1 @extschema@.sparsevec_hash(@extschema@.sparsevec);


create access method hnsw type index handler hashhandler;
create access method ivfflat type index handler hashhandler;
create operator class @extschema@.vector_l2_ops
for type @extschema@.vector using hnsw as
operator 1 @extschema@.=, function 1 @extschema@.vector_hash(@extschema@.vector);
create operator class @extschema@.vector_ip_ops
for type @extschema@.vector using hnsw as
operator 1 @extschema@.=, function 1 @extschema@.vector_hash(@extschema@.vector);
create operator class @extschema@.vector_cosine_ops
for type @extschema@.vector using hnsw as
operator 1 @extschema@.=, function 1 @extschema@.vector_hash(@extschema@.vector);
create operator class @extschema@.vector_l1_ops
for type @extschema@.vector using hnsw as
operator 1 @extschema@.=, function 1 @extschema@.vector_hash(@extschema@.vector);
create operator class @extschema@.halfvec_l2_ops
for type @extschema@.halfvec using hnsw as
operator 1 @extschema@.=, function 1 @extschema@.halfvec_hash(@extschema@.halfvec);
create operator class @extschema@.halfvec_ip_ops
for type @extschema@.halfvec using hnsw as
operator 1 @extschema@.=, function 1 @extschema@.halfvec_hash(@extschema@.halfvec);
create operator class @extschema@.halfvec_cosine_ops
for type @extschema@.halfvec using hnsw as
operator 1 @extschema@.=, function 1 @extschema@.halfvec_hash(@extschema@.halfvec);
create operator class @extschema@.halfvec_l1_ops
for type @extschema@.halfvec using hnsw as
operator 1 @extschema@.=, function 1 @extschema@.halfvec_hash(@extschema@.halfvec);
create operator class @extschema@.sparsevec_l2_ops
for type @extschema@.sparsevec using hnsw as
operator 1 @extschema@.=, function 1 @extschema@.sparsevec_hash(@extschema@.sparsevec);
create operator class @extschema@.sparsevec_ip_ops
for type @extschema@.sparsevec using hnsw as
operator 1 @extschema@.=, function 1 @extschema@.sparsevec_hash(@extschema@.sparsevec);
create operator class @extschema@.sparsevec_cosine_ops
for type @extschema@.sparsevec using hnsw as
operator 1 @extschema@.=, function 1 @extschema@.sparsevec_hash(@extschema@.sparsevec);
create operator class @extschema@.sparsevec_l1_ops
for type @extschema@.sparsevec using hnsw as
operator 1 @extschema@.=, function 1 @extschema@.sparsevec_hash(@extschema@.sparsevec);
create operator class @extschema@.vector_l2_ops
default for type @extschema@.vector using ivfflat as
operator 1 @extschema@.=, function 1 @extschema@.vector_hash(@extschema@.vector);
create operator class @extschema@.vector_ip_ops
for type @extschema@.vector using ivfflat as
operator 1 @extschema@.=, function 1 @extschema@.vector_hash(@extschema@.vector);
create operator class @extschema@.vector_cosine_ops
for type @extschema@.vector using ivfflat as
operator 1 @extschema@.=, function 1 @extschema@.vector_hash(@extschema@.vector);
create operator class @extschema@.vector_l1_ops
for type @extschema@.vector using ivfflat as
operator 1 @extschema@.=, function 1 @extschema@.vector_hash(@extschema@.vector);
create operator class @extschema@.halfvec_l2_ops
default for type @extschema@.halfvec using ivfflat as
operator 1 @extschema@.=, function 1 @extschema@.halfvec_hash(@extschema@.halfvec);
create operator class @extschema@.halfvec_ip_ops
for type @extschema@.halfvec using ivfflat as
operator 1 @extschema@.=, function 1 @extschema@.halfvec_hash(@extschema@.halfvec);
create operator class @extschema@.halfvec_cosine_ops
for type @extschema@.halfvec using ivfflat as
operator 1 @extschema@.=, function 1 @extschema@.halfvec_hash(@extschema@.halfvec);
create operator class @extschema@.halfvec_l1_ops
for type @extschema@.halfvec using ivfflat as
operator 1 @extschema@.=, function 1 @extschema@.halfvec_hash(@extschema@.halfvec);
