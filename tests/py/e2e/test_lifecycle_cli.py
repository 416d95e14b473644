"""The commands of audit, support, organizations, retention, backups and incidents, as typed."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import psycopg
import pytest
from fix_database import Connection, as_user
from harmonia_cli.main import app
from typer.testing import CliRunner

from harmonia_py import audit
from harmonia_py.engines import Database, Engine

OWNER = "e0000000-0000-4000-8000-000000000001"
AGENT = "e0000000-0000-4000-8000-000000000021"
ORG = "a0000000-0000-7000-8000-000000000001"


class Shell:
    """Runs a command with ``--output json`` against the test's database."""

    def __init__(self, url: str) -> None:
        self.env = {"DATABASE_URL": url}

    def __call__(self, *arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, [*arguments, "--output", "json"], env=self.env)
        assert result.exit_code == code, result.output
        answer = json.loads(result.stdout.splitlines()[-1]) if code in (0, 3) else None
        return answer["data"] if answer and answer["ok"] else json.loads(result.stdout)

    def text(self, *arguments: str, code: int = 0) -> str:
        """Return what a person sees."""
        result = CliRunner().invoke(app, list(arguments), env=self.env)
        assert result.exit_code == code, result.output
        return result.output


@pytest.fixture
def run(database: Database) -> Shell:
    assert database.admin_dsn is not None
    return Shell(database.admin_dsn)


@pytest.fixture
def key(run: Shell, tmp_path: Path) -> str:
    run.public = run("audit", "keygen", str(tmp_path / "key"))["public_key"]  # type: ignore[attr-defined]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    return f"file:{tmp_path / 'key'}"


def test_audit(run: Shell, key: str, tmp_path: Path) -> None:
    receipts = str(tmp_path / "receipts")
    nowhere = ["--receipts", str(tmp_path / "no" / "receipts")]
    failed = run("audit", "seal", "--key", key, *nowhere, code=1)
    assert failed["error"]["code"] == "path.not_writable"
    assert run("audit", "seal", "--key", key, "--receipts", receipts)["number"] == 1
    assert run("audit", "seal", "--key", key) is None
    public = run.public  # type: ignore[attr-defined]
    good = run("audit", "verify", "--public-key", public, "--receipts", receipts)
    assert good["verified"] and good["sealed_events"] == good["events"]
    assert not run("audit", "verify", "--public-key", "00" * 31 + "01", code=3)["verified"]
    assert "as recorded" in run.text("audit", "verify")
    last = run("audit", "tail", "--organization", ORG, "-n", "1")[0]
    run(
        "audit",
        "erase-payload",
        "--organization",
        ORG,
        "--number",
        str(last["number"]),
        "--reason",
        "request 12",
    )
    assert run("audit", "export", "--organization", ORG, "--out", str(tmp_path / "e"))["events"]
    again = run("audit", "export", "--organization", ORG, "--out", str(tmp_path / "e"), code=2)
    assert "not overwritten" in again["error"]["message"]
    assert (tmp_path / "e").stat().st_mode & 0o777 == 0o600
    lines = (tmp_path / "e").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line) for line in lines)
    assert "payload.erased" in run.text("audit", "tail", "--organization", ORG)


def test_an_audit_export_is_whole_or_not_there(
    run: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends in the middle would pass for all there is."""

    def some(_: object, __: object, out: TextIO) -> int:
        out.write('{"number": 1}\n' * 100_000)
        raise psycopg.OperationalError("the connection is lost")

    out = tmp_path / "e"
    with monkeypatch.context() as patch:
        patch.setattr(audit, "export", some)
        failed = run("audit", "export", "--organization", ORG, "--out", str(out), code=1)
    assert not failed["ok"] and list(tmp_path.iterdir()) == []
    nowhere = run("audit", "export", "--organization", ORG, "--out", str(out / "e"), code=1)
    assert nowhere["error"]["code"] == "path.not_writable"
    written = run("audit", "export", "--organization", ORG, "--out", str(out))["events"]
    assert written == len(out.read_text(encoding="utf-8").splitlines())


def test_an_empty_variable_is_no_leaving_out(
    run: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unset ``"$KEY"`` wrote an export in the clear, and an unset ``"$PUBLIC"`` verified it."""
    out = str(tmp_path / "e")
    for words in (
        ("organization", "export", "--organization", ORG, "--out", out, "--key", ""),
        ("organization", "import", out, "--key", ""),
        ("audit", "verify", "--public-key", ""),
        ("retention", "run", "--key", "", "--organization", ORG),
    ):
        assert run(*words, code=2)["error"]["code"] == "usage", words
    assert list(tmp_path.iterdir()) == []
    # Not every organization that is due.
    run("retention", "run", "--key", "env:NONE", "--organization", "", code=1)
    # As a variable it was taken as unset, and no signature was looked at.
    with monkeypatch.context() as patch:
        patch.setenv("HARMONIA_AUDIT_PUBLIC_KEY", "")
        for unsigned in (("audit", "verify"), ("retention", "certificate", ORG)):
            assert "is empty" in run(*unsigned, code=2)["error"]["message"], unsigned
    # Left out, each means what it says.
    assert run("organization", "export", "--organization", ORG, "--out", out)["rows"]
    assert not run("audit", "verify")["signatures"]


def test_support(run: Shell) -> None:
    unknown = run("support", "staff", "add", ORG, code=1)
    assert "does not exist" in unknown["error"]["message"]
    run("support", "staff", "add", AGENT)
    ask = ["support", "request", "--organization", ORG, "--agent", AGENT, "--permission",
           "contacts.read", "--reason", "ticket 4711: imports fail"]  # fmt: skip
    request = run(*ask)["request"]
    decide = ["support", "approve", "--organization", ORG, "--request", request, "--as"]
    assert run(*decide, AGENT, code=1)["error"]["code"] == "refused"
    run(*decide, OWNER)
    assert "live" in run.text("support", "list", "--organization", ORG)
    assert run("support", "revoke", "--organization", ORG)["ended"] == 1
    assert run("support", "staff", "remove", AGENT)["ended"] == 0
    assert run("support", "staff", "remove", AGENT)["ended"] == 0
    # A slip in an id is no end of anybody's access.
    unknown = run("support", "staff", "remove", OWNER, code=1)["error"]["message"]
    assert "is known as platform staff" in unknown
    one = ["support", "revoke", "--organization", ORG, "--request"]
    assert run(*one, request)["ended"] == 0
    assert "has no request" in run(*one, OWNER, code=1)["error"]["message"]
    run(*ask, code=1)


def test_export_hold_close_purge(run: Shell, key: str, conn: Connection, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert run("organization", "export", "--organization", ORG, "--out", out, "--key", key)["rows"]
    again = run("organization", "export", "--organization", ORG, "--out", out, code=1)
    assert "not overwritten" in again["error"]["message"]
    assert run("organization", "import", out, "--key", key, code=1)["error"]["code"] == "refused"
    purge = ["retention", "run", "--key", key, "--organization", ORG]
    assert "not_closing" in run(*purge, code=1)["error"]["message"]
    with as_user(conn, OWNER, aal="aal2"):
        conn.execute("select public.close_organization(%s)", [ORG])
    conn.execute(
        "update private.closures set closing_at = now() - interval '40 days',"
        " purge_after = now() - interval '1 day'"
    )
    conn.commit()
    hold = run("organization", "hold", "--organization", ORG, "--reason", "court order 17/2026",
               "--by", "legal")["hold"]  # fmt: skip
    assert "live" in run.text("organization", "holds")
    assert "legal hold" in run.text("retention", "plan")
    assert "on_hold" in run(*purge, code=1)["error"]["message"]
    run("organization", "release", "--organization", ORG, "--hold", hold, "--reason", "case closed",
        "--by", "legal")  # fmt: skip
    assert len(run(*purge, "--dry-run")) == 1
    (done,) = run(*purge)
    assert done["rows"] > 50 and len(done["signature"]) == 128
    assert run("retention", "run", "--key", key) == []
    # Named again it gives the certificate there is, and anybody can check it later.
    assert run(*purge) == [done]
    public = ["--public-key", run.public]  # type: ignore[attr-defined]
    assert run("retention", "certificate", ORG, *public)["verified"]
    assert '"rows_left": 0' in run.text("retention", "certificate", ORG)
    other = ["--public-key", "00" * 31 + "01"]
    wrong = CliRunner().invoke(app, ["retention", "certificate", ORG, *other], env=run.env)
    assert wrong.exit_code == 3 and "not signed" in wrong.output
    # What was taken away can come back: nothing of it is left to collide with but the tombstone.
    refused = run("organization", "import", out, "--key", key, code=1)
    assert "exists here already" in refused["error"]["message"]


def test_backup(run: Shell, key: str, tmp_path: Path) -> None:
    folder = ["--folder", str(tmp_path)]
    made = run("backup", "create", "--key", key, *folder)
    assert run("backup", "verify", made["path"], "--key", key)["rows"] == made["rows"]
    assert [b["path"] for b in run("backup", "list", *folder)] == [made["path"]]
    assert run("backup", "prune", *folder, "--key", key) == {"deleted": [], "damaged": []}
    missing = run("backup", "list", "--folder", str(tmp_path / "none"), code=2)
    assert "there is no folder" in missing["error"]["message"]
    into = ["backup", "restore", made["path"], "--key", key, "--into", run.env["DATABASE_URL"]]
    assert "not empty" in run(*into, code=1)["error"]["message"]
    Path(made["path"]).write_bytes(Path(made["path"]).read_bytes()[:-1])
    assert run("backup", "verify", made["path"], "--key", key, code=1)["error"]["code"] == (
        "file.damaged"
    )


def test_what_was_restored_is_verified(
    run: Shell, key: str, database: Database, engine: Engine, tmp_path: Path
) -> None:
    """The drill: back up, wipe, restore; the record and the isolation of what came back hold."""
    run("audit", "seal", "--key", key)
    made = run("backup", "create", "--key", key, "--folder", str(tmp_path))
    engine.drop_database(database.name)
    run("backup", "restore", made["path"], "--key", key, "--into", run.env["DATABASE_URL"])
    public = run.public  # type: ignore[attr-defined]
    report = run("audit", "verify", "--public-key", public)
    assert report["verified"] and report["sealed_events"] > 0
    said = CliRunner().invoke(app, ["verify", "--db-url", run.env["DATABASE_URL"]])
    assert said.exit_code == 0, said.output


def test_incident_outbox_subprocessors(run: Shell, tmp_path: Path) -> None:
    incident = run(
        "incident", "open", "--title", "Stolen laptop", "--summary", "A laptop was stolen.",
        "--from", "2026-01-01T00:00:00", "--to", "2099-01-01T00:00:00", "--by", "security",
    )["incident"]  # fmt: skip
    notify = ["incident", "notify", incident, "--subject", "About your data"]
    assert "not_assessed" in run(*notify, code=1)["error"]["message"]
    (tmp_path / "large").write_bytes(b"x" * (1 << 20) + b"x")
    large = run(*notify, "--body", str(tmp_path / "large"), code=2)["error"]["message"]
    assert "more than 1024 KiB" in large
    assert ORG in run("incident", "assess", incident)["organizations"]
    assert run(*notify)["messages"] >= 2
    assert run(*notify)["messages"] == 0
    assert "Stolen laptop" in run.text("incident", "list")
    assert json.loads(run.text("incident", "timeline", incident))["timeline"]
    waiting = run("outbox", "list")
    assert {m["status"] for m in waiting} == {"pending"} and len(waiting) >= 2
    assert "incident" in run.text("outbox", "list")
    again = run("outbox", "retry", waiting[0]["id"], code=1)
    assert "was given up" in again["error"]["message"]
    send = ["outbox", "send", "--smtp", "smtp+plain://127.0.0.1:9", "--from", "a@b.example"]
    assert run(*send, code=4)["error"]["code"] == "mail.refused"
    run("incident", "close", incident, "--resolution", "wiped remotely")
    put = ["subprocessors", "set", "mailer", "--name", "Mailer", "--purpose", "mail",
           "--location", "EU", "--effective-from", "2099-01-01"]  # fmt: skip
    assert run(*put)["version"] == 1 and run(*put)["version"] == 2
    assert run("subprocessors", "announce")["messages"] == 0
    assert "mailer/2" in run.text("subprocessors", "list")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-01T08:00:00", "2026-11-01T18:00:00"),
        ("2026-11-01T10:00:00+02:00", "2026-11-01T13:00:00-05:00"),
        ("2026-11-01T08:00:00Z", "2026-11-01 18:00:00"),
    ],
)
def test_a_moment_with_an_offset_is_that_moment(
    run: Shell, conn: Connection, start: str, end: str
) -> None:
    """The offset was dropped: a window hours away from what was meant tells the wrong owners."""
    open_ = ["incident", "open", "--title", "Stolen laptop", "--summary", "It was.", "--by", "x"]
    incident = run(*open_, "--from", start, "--to", end)["incident"]
    found = conn.execute(
        "select window_from at time zone 'UTC', window_to at time zone 'UTC'"
        " from private.incidents where id = %s", [incident],
    ).fetchone()  # fmt: skip
    assert found == (datetime(2026, 11, 1, 8), datetime(2026, 11, 1, 18))
    never = ["--from", "0001-01-01T00:00:00+02:00", "--to", end]
    assert "no moment" in run(*open_, *never, code=2)["error"]["message"]


def test_what_people_choose_to_write_stops_no_command(
    run: Shell, conn: Connection, tmp_path: Path
) -> None:
    with as_user(conn, OWNER, aal="aal2"):
        conn.execute("update public.organizations set name = '[/b] :bomb:' where id = %s", [ORG])
        conn.execute("select public.close_organization(%s)", [ORG])
    with pytest.raises(psycopg.errors.CheckViolation), conn.transaction():
        conn.execute("update public.organizations set name = e'A\\n2 due' where id = %s", [ORG])
    conn.commit()
    assert "[/b] :bomb:" in run.text("retention", "plan")
    window = ["--from", "2026-11-01T00:00:00", "--to", "2026-11-02T00:00:00", "--by", "x"]
    incident = run("incident", "open", "--title", "a [/b]", "--summary", "b", *window)["incident"]
    assert "a [/b]" in run.text("incident", "timeline", incident)
    conn.execute("set session_replication_role = replica")
    conn.execute("alter table audit.events disable trigger user")
    conn.execute("update audit.events set action = '[/b]' where organization_id = %s", [ORG])
    conn.commit()
    assert "NOT as recorded" in run.text("audit", "verify", code=3)


def test_what_cannot_be_taken_is_said(run: Shell) -> None:
    erase = ["audit", "erase-payload", "--organization", ORG, "--reason"]
    for reason in ("", "  "):
        refused = run(*erase, reason, "--number", "1", code=1)["error"]
        assert "the reason has 3" in refused["message"]
    assert "--number" in run.text(*erase, "request 12", "--number", str(2**64), code=2)
    window = ["--from", "2026-11-01T00:00:00", "--to", "2026-11-02T00:00:00", "--by", "x"]
    # What Python makes of a byte that is no UTF-8.
    title = run("incident", "open", "--title", "a\udcffb", "--summary", "b", *window, code=2)
    assert title["error"]["message"] == "an argument or a setting is not UTF-8 text"


def test_keys_are_made_listed_and_revoked_as_a_person(run: Shell, conn: Connection) -> None:
    olga = ("--organization", ORG, "--as", "olga.owner@alder.example")
    new = ("api-keys", "create", "--name", "sync", "--permission", "contacts.read", *olga)
    plain, strong = run(*new), run(*new, "--aal", "aal2")
    listed = {key["api_key_id"]: key for key in run("api-keys", "list", *olga)["api_keys"]}
    assert [listed[k["api_key_id"]]["made_at_aal2"] for k in (plain, strong)] == [False, True]
    shown = run.text("api-keys", "list", *olga)
    assert plain["hint"] in shown
    assert plain["api_key"] not in shown
    assert shown.count(" aal1 ") == shown.count(" aal2 ") == 1
    run("api-keys", "revoke", plain["api_key_id"], *olga)
    assert "revoked" in run.text("api-keys", "list", *olga)
    conn.execute("update public.organizations set require_mfa = true where id = %s", [ORG])
    conn.commit()
    assert "needs the permission" in run.text(*new, code=1)
    assert run("api-keys", "list", *olga) == {"api_keys": []}
    assert len(run("api-keys", "list", *olga, "--aal", "aal2")["api_keys"]) == 2
    run("api-keys", "revoke", strong["api_key_id"], *olga, "--aal", "aal2")
    for words in (new, ("api-keys", "list", *olga)):
        assert "write aal1 or aal2" in run.text(*words, "--aal", "aal3", code=2)


def test_doctor(run: Shell, conn: Connection) -> None:
    run.text("doctor")
    conn.execute("grant select on public.contacts to anon")
    conn.commit()
    assert "revoke select on" in run.text("doctor", code=3)


@pytest.mark.parametrize(
    ("arguments", "sentence", "empty"),
    [
        (("support", "list"), "nobody asked for access", []),
        (("incident", "list"), "there are no incidents", []),
        (("subprocessors", "list"), "there are no sub-processors", []),
        (("outbox", "list"), "nothing waits", []),
        (("secrets", "list", "--organization", ORG), "there are no secrets", []),
        (
            ("api-keys", "list", "--organization", ORG, "--as", "olga.owner@alder.example"),
            "there are no API keys",
            {"api_keys": []},
        ),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_a_list_of_nothing_says_so(
    run: Shell, arguments: tuple[str, ...], sentence: str, empty: object
) -> None:
    assert run.text(*arguments) == f"{sentence}\n"
    assert run(*arguments) == empty


def test_a_folder_without_backups_says_so(run: Shell, tmp_path: Path) -> None:
    folder = ("backup", "list", "--folder", str(tmp_path))
    assert run.text(*folder) == "there are no backups in this folder\n"
    assert run(*folder) == []
