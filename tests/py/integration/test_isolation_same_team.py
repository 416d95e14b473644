"""Two tenants may have a team of the same id, and neither reaches the other's rows by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmonia_py.engines import Database
from harmonia_py.isolation import runner
from harmonia_py.isolation.model import load
from harmonia_py.isolation.probes.roles import same_team

#: What private.spans() was once: teams by their id alone.
_SPAN = (
    "team_id = any(array(select t.team_id from unnest("
    "(private.my_span('companies.{verb}')).teams) as t))"
)
COMMANDS = {
    "select": ("companies", ("using",), "read"),
    "insert": ("companies", ("with check",), "write"),
    "update": ("companies", ("using", "with check"), "write"),
    "delete": ("companies", ("using",), "delete"),
    "insert below": ("company_tags", ("with check",), "write"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_id_of_a_team_opens_no_tenant(database: Database, name: str) -> None:
    table, clauses, verb = COMMANDS[name]
    command = name.split()[0]
    conditions = " ".join(f"{clause} ({_SPAN.format(verb=verb)})" for clause in clauses)
    said = load(Path(__file__).resolve().parents[3] / "harmonia.toml")
    with database.connect_admin() as conn, runner.laboratory(conn, said) as lab:
        lab.only = frozenset({f"public.{table}"})
        assert same_team.probe(lab) == []
        conn.execute(f"alter policy {command}_member on public.{table} {conditions}")
        found = {(s.rule, s.object, s.command) for s in same_team.probe(lab)}
        assert found == {("cross_tenant.team", f"public.{table}", command)}
