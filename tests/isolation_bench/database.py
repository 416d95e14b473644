"""Databases for the benchmark: one template per schema, one cheap copy per run of a tester."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg

from harmonia_py.engines import Database, Engine
from isolation_bench import variants
from isolation_bench.actors import substitute


def build(engine: Engine, folder: Path, name: str) -> Database:
    """Create database ``name`` from the migrations of ``folder``, as the role ``postgres``."""
    database = engine.create_database(name)
    with database.connect() as connection:
        for path in variants.migrations(folder):
            connection.execute(path.read_bytes())
            connection.commit()
    return database


def patch(database: Database, variant: variants.Variant) -> None:
    """Apply the patch of ``variant`` as the role ``postgres``, in one transaction."""
    with database.connect() as connection:
        connection.execute(variant.patch.encode())


def populate(connection: psycopg.Connection[Any], schema: str) -> None:
    """Load the accounts and the rows of ``schema``; ``connection`` is a superuser's."""
    # As postgres with row security on: triggers and constraints work as they do in production.
    connection.execute(substitute((variants.SCHEMAS.parent / "users.sql").read_text()).encode())
    connection.execute(substitute((variants.SCHEMAS / schema / "seed.sql").read_text()).encode())


def standing_claims(schema: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the claims that actors have in ``schema`` by default, per actor name."""
    path = variants.SCHEMAS / schema / "claims.json"
    return json.loads(path.read_text()) if path.exists() else {}


class Bench:
    """The templates of one engine, made when first asked for."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._templates: dict[str, Database] = {}

    def template(self, schema: str) -> Database:
        """Return the clean, empty database of ``schema``; nobody may stay connected to it."""
        if schema not in self._templates:
            folder = variants.SCHEMAS / schema
            # Others may have one of the same engine and schema.
            name = f"bench_{schema}_{token_hex(4)}"
            self._templates[schema] = build(self.engine, folder, name)
        return self._templates[schema]

    @contextmanager
    def clone(self, schema: str, variant: variants.Variant | None = None) -> Iterator[Database]:
        """Yield a copy of the clean database, with ``variant`` applied if one is given."""
        with self.engine.database(template=self.template(schema).name) as database:
            if variant is not None:
                patch(database, variant)
            yield database

    @contextmanager
    def populated(self, schema: str) -> Iterator[psycopg.Connection[Any]]:
        """Yield a superuser's session in a populated copy; everything is rolled back."""
        with (
            self.engine.database(template=self.template(schema).name) as database,
            database.connect_admin() as connection,
        ):
            populate(connection, schema)
            connection.commit()
            try:
                yield connection
            finally:
                connection.rollback()
