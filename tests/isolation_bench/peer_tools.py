"""How each peer is installed and asked, and which part of its answer counts as a finding.

Every peer runs with its documented defaults for CI. What it says is reduced to a set of strings
(findings) that does not contain times, random ids or database names, so that the answers on a
clean and on a patched schema can be compared.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from harmonia_py.engines import Database

PYTHON_PEERS = {"pgrls": "pgrls==0.57.1", "rlsautotest": "rlsautotest==0.7.1",
                "rlsgrid": "rlsgrid==0.5.7"}  # fmt: skip
NODE_PEERS = ("supashield@0.3.0", "supabase@3.1.0")
TIMEOUT = 240.0

Finding = str
Findings = frozenset[Finding]


@dataclass(frozen=True, slots=True)
class Target:
    """A database to examine, the trusted snapshot of its clean schema, and a place to write."""

    database: Database
    snapshot: Path
    folder: Path

    @property
    def url(self) -> str:
        """The URL of the role ``postgres``, as a Supabase user has it."""
        parts = conninfo_to_dict(self.database.owner_dsn)
        return "postgresql://{user}:{password}@{host}:{port}/{dbname}?sslmode=disable".format(
            **parts
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer said: whether its gate is red, and its findings."""

    red: bool
    findings: Findings
    trouble: str = ""


class Peers:
    """Peers installed in a folder of their own: a virtual environment each, one for npm."""

    def __init__(self, folder: Path) -> None:
        # The peers are called from other folders.
        self.folder = folder.resolve()

    def install(self) -> None:
        """Install what is not there yet; what an interrupted call left half done is redone."""
        for name, package in PYTHON_PEERS.items():
            home = self.folder / name
            with _installing(home, package) as needed:
                if needed:
                    subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
                    pip = [str(home / "bin" / "pip"), "install", "--quiet", package]
                    subprocess.run(pip, check=True)
        npm = self.folder / "npm"
        with _installing(npm, " ".join(NODE_PEERS)) as needed:
            if needed:
                npm.mkdir(parents=True, exist_ok=True)
                (npm / "package.json").write_text('{"name": "peers", "private": true}\n')
                command = ["npm", "install", "--silent", "--no-fund", "--no-audit", *NODE_PEERS]
                subprocess.run(command, cwd=npm, check=True)

    def call(self, program: str, target: Target, *arguments: str) -> tuple[int, str, str]:
        """Run a peer in a fresh folder with ``DATABASE_URL`` set; return exit code and output."""
        path = self.folder / program / "bin" / program
        if program in ("supashield", "supabase"):
            path = self.folder / "npm" / "node_modules" / ".bin" / program
        environment = {
            **{k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")},
            "DATABASE_URL": target.url,
            "NO_COLOR": "1",
            "COLUMNS": "400",
            "DO_NOT_TRACK": "1",
            "SUPABASE_TELEMETRY_DISABLED": "1",
        }
        with subprocess.Popen(
            [str(path), *arguments],
            cwd=target.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                # The npm peers are wrappers: their children would go on without them.
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                return -1, "", "timeout"
        return process.returncode, out, err


@contextmanager
def _installing(home: Path, wanted: str) -> Iterator[bool]:
    """Yield whether ``wanted`` must be installed in ``home``; note it there once it is."""
    note = home / "installed"
    needed = not note.exists() or note.read_text() != wanted
    yield needed
    if needed:
        note.write_text(wanted)


def _load(text: str) -> dict[str, Any]:
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _key(*parts: object) -> Finding:
    return json.dumps(parts, sort_keys=True, default=str)


def pgrls_lint(peers: Peers, target: Target) -> Answer:
    """Every violation, by rule, place and message."""
    code, out, err = peers.call("pgrls", target, "lint", "--format", "json")
    found = _load(out).get("violations", [])
    keys = {_key(v["rule_id"], v["location"], v["message"]) for v in found}
    return Answer(code != 0, frozenset(keys), err if code not in (0, 1) else "")


def pgrls_verify(peers: Peers, target: Target) -> Answer:
    """Every leak of the three proving modes, confirmed or not."""
    red, keys, trouble = False, set(), ""
    for mode in ("anon", "cross-tenant", "write"):
        code, out, err = peers.call(
            "pgrls", target, "verify", "--mode", mode,
            "--format", "json",
        )  # fmt: skip
        red = red or code != 0
        trouble += err if code not in (0, 1) else ""
        for table in _load(out).get("tables", []):
            if table["verdict"] == "leak":
                keys.add(_key(mode, table["table"]))
    return Answer(red, frozenset(keys), trouble)


def pgrls_diff(peers: Peers, target: Target) -> Answer:
    """Every change against the trusted snapshot of the clean schema."""
    code, out, err = peers.call(
        "pgrls", target, "diff", "--format", "json",
        str(target.snapshot),
    )  # fmt: skip
    found = _load(out).get("violations", [])
    keys = {_key(v["rule_id"], v["location"], v["message"]) for v in found}
    return Answer(code != 0, frozenset(keys), err if code not in (0, 1) else "")


def rlsautotest(peers: Peers, target: Target) -> Answer:
    """Every line of the report that carries a severity or one of its warning signs."""
    code, out, err = peers.call(
        "rlsautotest", target, "--schema", "public", "--db-url", target.url, "--report"
    )
    table, keys = "", set()
    for line in out.splitlines():
        if line.startswith("legend"):
            break
        if heading := re.match(r"^(?:table )?(?:public\.)?(\w+)\b", line):
            table = heading[1]
        if re.search(r"\[(CRITICAL|HIGH|MEDIUM|LOW)\]|✓!|✗|‼|⚠", line):
            keys.add(_key(table, re.sub(r"\s+", " ", line).strip()))
    return Answer(code != 0, frozenset(keys), err if code not in (0, 1) else "")


def rlsgrid(peers: Peers, target: Target) -> Answer:
    """Every breach, by role, table and operation (its draws are random, its seed is fixed)."""
    peers.call("rlsgrid", target, "init", "--from-db", "--force")
    code, out, err = peers.call("rlsgrid", target, "check", "--json")
    found = _load(out).get("breaches", [])
    keys = {_key(b["actor_role"], b["schema"], b["table"], b["operation"]) for b in found}
    return Answer(code != 0, frozenset(keys), err if code not in (0, 1) else "")


def supashield(peers: Peers, target: Target) -> Answer:
    """The issues of its lint and test; both must pass for a green gate."""
    peers.call("supashield", target, "init", "-u", target.url)
    red, keys, trouble = False, set(), ""
    for command in ("lint", "test"):
        code, out, err = peers.call("supashield", target, command, "-u", target.url, "--json")
        red = red or code != 0
        answer = _load(out)
        trouble += "" if answer else err
        for issue in answer.get("issues", []):
            keys.add(_key(command, {k: v for k, v in issue.items() if "time" not in k}))
    return Answer(red, frozenset(keys), trouble)


def supabase_advisors(peers: Peers, target: Target) -> Answer:
    """Every result of ``supabase db advisors --fail-on warn`` about security."""
    code, out, err = peers.call(
        "supabase", target, "db", "advisors", f"--remote={target.url}", "--type", "security",
        "--output-format", "json", "--fail-on", "warn",
    )  # fmt: skip
    found = _load(out).get("results", [])
    keys = {_key(r["cacheKey"], r["detail"]) for r in found}
    return Answer(code != 0, frozenset(keys), err if not out.strip() else "")


TOOLS: dict[str, Callable[[Peers, Target], Answer]] = {
    "pgrls lint": pgrls_lint,
    "pgrls verify": pgrls_verify,
    "pgrls diff": pgrls_diff,
    "rlsautotest": rlsautotest,
    "rlsgrid": rlsgrid,
    "supashield": supashield,
    "supabase db advisors": supabase_advisors,
}


def take_snapshot(peers: Peers, target: Target) -> None:
    """Write the trusted snapshot that ``pgrls diff`` compares with."""
    arguments = ("snapshot", "--output", str(target.snapshot))
    code, _, err = peers.call("pgrls", target, *arguments)
    if code != 0:
        raise RuntimeError(f"pgrls snapshot failed: {err}")


def requirement(tool: str) -> str:
    """Return the tool and the version of the package it comes from."""
    package = "supabase" if tool.startswith("supabase") else tool.split(" ", 1)[0]
    packages = [*PYTHON_PEERS.values(), *NODE_PEERS]
    return f"{tool}: {next(p for p in packages if re.split('[=@]', p)[0] == package)}"


@contextmanager
def scratch(parent: Path, schemas: Sequence[str]) -> Iterator[Path]:
    """Yield a new folder under ``parent``: peers write configuration beside themselves."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        # The one setting pgrls needs: which schemas are the project's.
        (folder / "pgrls.toml").write_text(f"[database]\nschemas = {json.dumps(schemas)}\n")
        yield folder


def names(chosen: Sequence[str] | None) -> tuple[str, ...]:
    """Return the chosen tools, or all."""
    return tuple(name for name in TOOLS if not chosen or name in chosen)
