"""Values that are equal and yet not the same: ``1.0`` and ``1.00``, ``Guest`` and ``guest``.

Where ``=`` of a type, or of a collation, takes for equal what is written in different ways, a value
is ``alike(face)``. Equal values are alike. What a function makes of one depends on its face, and so
equal values need not give equal results.
"""

from __future__ import annotations

from typing import Any

import z3

from harmonia_py.isolation.proof.casts import plain

__all__ = [
    "BUILT_IN",
    "CITEXT",
    "NUMERIC",
    "PLAIN",
    "Value",
    "alike_of",
    "comparable",
    "face",
    "is_collated",
    "is_exact",
    "likeness",
]

Value = z3.DeclareSort("Value")
CITEXT = "citext"
NUMERIC = "numeric"
#: Types of PostgreSQL's own of which a literal is written in many ways.
BUILT_IN = frozenset("numeric float4 float8 jsonb interval bpchar".split())
#: Functions and operators that give a text, or a whole number, of such and of exact ones.
PLAIN = frozenset(
    "->> #>> lower upper initcap btrim ltrim rtrim left right substr substring split_part replace"
    " md5 concat concat_ws length char_length position strpos starts_with encode cardinality"
    " array_length array_to_string jsonb_typeof regexp_replace translate reverse".split()
)
_PREFIX = "alike "
#: Types in which what is equal is the same, byte for byte.
_EXACT = frozenset(
    'uuid text varchar int2 int4 int8 bool date timestamp timestamptz bytea "char" name oid'
    " regclass json xml".split()
) | {"time without time zone", "time", "void"}


def is_exact(kind: str | None) -> bool:
    """Whether equal values of a type are the same; one that is not known may be any."""
    return (plain((kind or "").removesuffix("[]")) or "") in _EXACT


def is_collated(kind: str | None) -> bool:
    """Whether a collation is named, by which texts have an order and other letters of their own."""
    return bool(kind) and str(kind).startswith("text collate ")


def alike_of(name: str, value: Any) -> Any:
    """Return what is equal for all values that a type or a collation takes for equal."""
    known = plain(name.rpartition(".")[2])
    return z3.Function(f"{_PREFIX}{known}", Value, Value)(face(value))


def face(value: Any) -> Any:
    """Return what a value is, and not only what it is equal to."""
    if likeness(value) is None:
        return value
    if z3.is_app_of(value, z3.Z3_OP_ITE):
        return z3.If(value.arg(0), face(value.arg(1)), face(value.arg(2)))
    return value.arg(0)


def likeness(value: Any) -> str | None:
    """Return the name under which a value is only alike to another, None for what is exact."""
    if not z3.is_app(value) or value.num_args() == 0:
        return None
    made_by = value.decl()
    if made_by.kind() == z3.Z3_OP_ITE:
        return likeness(value.arg(1)) or likeness(value.arg(2))
    name = str(made_by.name())
    return name.removeprefix(_PREFIX) if name.startswith(_PREFIX) else None


def comparable(one: Any, other: Any) -> bool:
    """Whether what two values are equal to is one and the same."""
    mine, theirs = likeness(one), likeness(other)
    if NUMERIC in (mine, theirs):
        return mine is not None and theirs is not None
    return mine == theirs or not any(
        name == CITEXT or name.startswith("collate ") for name in (mine, theirs) if name
    )
