"""What a database exposes, as plain values: the only view of the catalog the harness has.

Names are always qualified (``schema.name`` without quotes) and compare as text; ``Table.sql``
and ``Function.sql`` give the quoted form to compose statements with.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from psycopg import sql

__all__ = [
    "Argument",
    "Bucket",
    "Catalog",
    "Check",
    "Column",
    "Composite",
    "ForeignKey",
    "Function",
    "Policy",
    "Publication",
    "Sequence",
    "Table",
    "Trigger",
    "Unique",
]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``type`` is ``format_type`` output, ``base`` the type under a domain.

    ``digits`` are the precision and the scale of a bounded numeric. ``collation`` is one that takes
    texts for equal that are not the same. With ``old_nulls``, rows that were there before are not
    bound by ``not_null``.
    """

    name: str
    number: int
    type: str
    base: str
    category: str
    not_null: bool
    default: str | None = None
    generated: bool = False
    identity: str = ""
    labels: tuple[str, ...] = ()
    element: str | None = None
    length: int | None = None
    digits: tuple[int, int] | None = None
    domain_checks: tuple[str, ...] = ()
    comment: str | None = None
    collation: str | None = None
    old_nulls: bool = False
    privileges: frozenset[tuple[str, str]] = frozenset()

    @property
    def writable(self) -> bool:
        """Whether a statement may give this column a value."""
        return not self.generated and self.identity != "a"

    @property
    def required(self) -> bool:
        """Whether an insert must name this column."""
        return self.not_null and self.default is None and not self.generated and not self.identity


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key; ``columns[i]`` points at ``ref_columns[i]`` of table ``target``.

    Where it is not ``validated``, rows that were there before may point at nothing.
    """

    name: str
    columns: tuple[str, ...]
    target: str
    ref_columns: tuple[str, ...]
    on_delete: str = "a"
    deferrable: bool = False
    validated: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """A CHECK constraint; ``expression`` is deparsed with an empty search path."""

    name: str
    columns: tuple[str, ...]
    expression: str


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique index or an exclusion constraint (``exclusion``)."""

    name: str
    columns: tuple[str, ...]
    primary: bool = False
    predicate: str | None = None
    has_expressions: bool = False
    exclusion: bool = False
    definition: str = ""
    deferrable: bool = False

    @property
    def is_key(self) -> bool:
        """Whether no two rows have the same values in ``columns``, whatever else they hold."""
        return bool(self.columns and not (self.exclusion or self.predicate or self.has_expressions))


@dataclass(frozen=True, slots=True)
class Policy:
    """A row-level security policy; ``command`` is all, select, insert, update or delete.

    ``heirs`` are the API roles that have the privileges of one of its roles.
    """

    name: str
    command: str
    permissive: bool
    roles: tuple[str, ...]
    using: str | None
    check: str | None
    heirs: tuple[str, ...] = ()

    def is_for(self, role: str) -> bool:
        """Whether it is a policy of ``role``: named, inherited, or everybody's."""
        return bool({"public", role} & set(self.roles)) or role in self.heirs

    def applies(self, command: str, role: str) -> bool:
        """Whether the policy takes part in ``command`` (lower case) of ``role``."""
        return self.command in ("all", command) and self.is_for(role)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A row or statement trigger that is enabled."""

    name: str
    function: str
    definition: str


@dataclass(frozen=True, slots=True)
class Table:
    """A relation clients may reach: ``kind`` is table, partitioned, view, matview or foreign.

    ``entries`` are the keys of a short list that others point at (the roles there are), those
    first that most other lists say something of. Of one that is ``inherited``, rows are shown that
    other tables hold, past its keys. No policy binds the roles that are ``exempt``.
    """

    oid: int
    schema: str
    name: str
    kind: str
    owner: str
    rls: bool
    forced: bool
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    uniques: tuple[Unique, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    policies: tuple[Policy, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    parent: str | None = None
    inherited: bool = False
    exempt: frozenset[str] = frozenset()
    partition_bound: str | None = None
    definition: str | None = None
    options: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    rows: float = 0
    privileges: frozenset[tuple[str, str]] = frozenset()
    comment: str | None = None
    exposed: bool = True
    entries: tuple[str, ...] = ()
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        """Index the columns: they are looked up far more often than anything else."""
        object.__setattr__(self, "by_name", {c.name: c for c in self.columns})

    @property
    def key(self) -> str:
        """The qualified name, the key of every table map in the harness."""
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> sql.Identifier:
        """The quoted, qualified identifier."""
        return sql.Identifier(self.schema, self.name)

    @property
    def is_base(self) -> bool:
        """Whether rows are stored here (partitions count, views do not)."""
        return self.kind in ("table", "partitioned")

    @property
    def security_invoker(self) -> bool:
        """Whether a view applies the caller's policies."""
        return any(
            o
            in (
                "security_invoker=true",
                "security_invoker=on",
                "security_invoker=1",
                "security_invoker=yes",
            )
            for o in self.options
        )

    @property
    def skip_present(self) -> str:
        """The clause that lets an insert pass over rows whose key is taken, where there may be one.

        A deferrable key cannot decide conflicts, and one alone forbids the clause.
        """
        return "" if any(u.deferrable for u in self.uniques) else "on conflict do nothing"

    def column(self, name: str) -> Column:
        """Return the column called ``name``; raises KeyError."""
        return self.by_name[name]

    def has(self, name: str) -> bool:
        """Whether there is a column called ``name``."""
        return name in self.by_name

    def can(self, role: str, privilege: str) -> bool:
        """Whether ``role`` holds ``privilege`` on the table or on any column of it."""
        return (role, privilege) in self.privileges or any(
            (role, privilege) in column.privileges for column in self.columns
        )

    def step(self, column: str) -> ForeignKey | None:
        """Return the foreign key that a path takes from ``column``: a single one, if there is."""
        keys = [fk for fk in self.foreign_keys if column in fk.columns]
        return min(keys, key=lambda fk: len(fk.columns), default=None)

    def readable(self, role: str) -> tuple[Column, ...]:
        """Return the columns ``role`` may select."""
        return tuple(c for c in self.columns if (role, "SELECT") in c.privileges)

    def policies_for(self, command: str, role: str) -> tuple[Policy, ...]:
        """Return the policies that take part in ``command`` of ``role``."""
        return tuple(p for p in self.policies if p.applies(command, role))


@dataclass(frozen=True, slots=True)
class Argument:
    """One input argument of a function."""

    name: str
    type: str
    category: str
    has_default: bool
    labels: tuple[str, ...] = ()
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """A function or procedure; ``executors`` are the API roles that may call it.

    ``outputs`` are the names of the columns it returns, where it names them, and ``output_types``
    what they are; a ``strict`` one is not run where an argument is null; PostgreSQL has a
    ``namesake`` of its own.
    """

    oid: int
    schema: str
    name: str
    kind: str
    arguments: tuple[Argument, ...]
    returns: str
    returns_set: bool
    language: str
    volatility: str
    definer: bool
    owner: str
    source: str
    config: tuple[str, ...] = ()
    executors: frozenset[str] = frozenset()
    is_trigger: bool = False
    definition: str = ""
    exposed: bool = True
    outputs: tuple[str, ...] = ()
    output_types: tuple[str, ...] = ()
    strict: bool = False
    namesake: bool = False

    @property
    def key(self) -> str:
        """The qualified name with argument types."""
        return f"{self.schema}.{self.name}({', '.join(a.type for a in self.arguments)})"

    @property
    def sql(self) -> sql.Identifier:
        """The quoted, qualified identifier."""
        return sql.Identifier(self.schema, self.name)

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the settings that hold while the function runs."""
        return tuple(setting.partition("=")[0].lower() for setting in self.config)

    @property
    def search_path(self) -> str | None:
        """The search path the function pins, or None when the caller's is used."""
        for setting in self.config:
            if setting.startswith("search_path="):
                return setting.removeprefix("search_path=")
        return None


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence and the API roles' privileges on it."""

    schema: str
    name: str
    privileges: frozenset[tuple[str, str]] = frozenset()

    @property
    def key(self) -> str:
        """The qualified name."""
        return f"{self.schema}.{self.name}"


#: The attributes of a composite type, in order: name and type, with its length.
Composite = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A storage bucket."""

    id: str
    public: bool


@dataclass(frozen=True, slots=True)
class Publication:
    """A logical-replication publication and the tables it carries."""

    name: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything the harness knows of a database, keyed by qualified name.

    ``domains`` are what is under each, with its length; nothing where a collation is as well.
    ``enums`` are the enumerated types; ``aggregates`` and ``operators`` the names of those that are
    not PostgreSQL's; ``casts`` the types between which the project casts in a way of its own. What
    is ``volatile`` gives another value each time.
    """

    tables: dict[str, Table]
    functions: dict[str, Function]
    sequences: tuple[Sequence, ...] = ()
    composites: dict[str, Composite] = field(default_factory=dict)
    domains: dict[str, str] = field(default_factory=dict)
    enums: frozenset[str] = frozenset()
    aggregates: frozenset[str] = frozenset()
    volatile: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    casts: frozenset[tuple[str, str]] = frozenset()
    buckets: tuple[Bucket, ...] = ()
    publications: tuple[Publication, ...] = ()
    platform: dict[str, Table] = field(default_factory=dict)
    roles: tuple[str, ...] = ("anon", "authenticated")
    schemas: tuple[str, ...] = ("public",)
    server_version: int = 0
    superuser: bool = False
    default_privileges: frozenset[tuple[str, str]] = frozenset()

    def table(self, key: str) -> Table | None:
        """Look a relation up among the project's and then the platform's."""
        return self.tables.get(key) or self.platform.get(key)

    def attributes(self, kind: str) -> Composite | None:
        """Return the columns of a composite type or of a table's rows, None for another type."""
        if kind in self.composites:
            return self.composites[kind]
        table = self.table(kind)
        return tuple((c.name, c.type) for c in table.columns) if table is not None else None

    def reachable(self) -> list[Table]:
        """Return the relations some API role holds a data privilege on, by name."""
        data = ("SELECT", "INSERT", "UPDATE", "DELETE")
        return [
            t
            for t in self.tables.values()
            if t.exposed and any(t.can(role, p) for role in self.roles for p in data)
        ]
