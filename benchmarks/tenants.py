"""Tenants to measure with: an empty database, migrated and filled as ``seed generate`` does."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import report
from harmonia_py import migrations
from harmonia_py.engines import Database, EmbeddedEngine
from harmonia_py.project import find
from harmonia_py.seed.generate import GeneratePlan, generate

__all__ = ["add_options", "apply", "build", "plan"]


def add_options(parser: argparse.ArgumentParser, *, organizations: int, contacts: int) -> None:
    """Declare ``--organizations`` and ``--contacts``, with what they are by default."""
    parser.add_argument("--organizations", type=report.at_least_one, default=organizations)
    parser.add_argument("--contacts", type=report.at_least_one, default=contacts)


def plan(options: argparse.Namespace) -> GeneratePlan:
    """Return what is to be generated: a company and a deal for every ten contacts."""
    return GeneratePlan(
        organizations=options.organizations,
        contacts=options.contacts,
        companies=options.contacts // 10,
        deals=options.contacts // 10,
        activities=0,
    )


def apply(database: Database) -> int:
    """Apply Harmonia's migrations; return how many there are."""
    folder = find(start=Path(__file__).parent).migrations
    return len(migrations.apply(database.owner_dsn, folder).applied)


def build(engine: EmbeddedEngine, name: str, options: argparse.Namespace) -> Database:
    """Return a new database with the tenants in it."""
    database = engine.create_database(name)
    apply(database)
    generate(database.owner_dsn, plan(options))
    return database
