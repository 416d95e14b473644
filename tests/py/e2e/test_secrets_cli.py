"""The commands around secrets as a person runs them: exit codes, stdin, and no value shown."""

from __future__ import annotations

import base64
import json
import os
import resource
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fix_cli import Done, command, environment, harmonia
from fix_vault import ALDER, WORKER, VaultBench
from harmonia_cli.main import app
from typer.testing import CliRunner

from harmonia_py.secrets import Secret, masterkey
from harmonia_py.secrets.recovery import new_identity
from harmonia_py.webhooks import generate_secret

VALUE = b"sk_live_0123456789abcdefWXYZ"


@dataclass
class Cli:
    bench: VaultBench
    provider: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.bench.database.owner_dsn,
            "HARMONIA_MASTER_KEY_PROVIDER": self.provider,
            "HARMONIA_ORGANIZATION": str(ALDER),
            "NO_COLOR": "1",
        }

    def run(self, *words: str, given: bytes = b"", code: int = 0) -> Done:
        if words[1] == "exec":  # it replaces its process
            return harmonia(*words, env=self.environment, code=code)
        result = CliRunner().invoke(app, words, input=given, env=self.environment)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        done = Done(result.exit_code, result.stdout_bytes, result.stderr_bytes)
        assert done.code == code, (words, done)
        assert b"Traceback" not in done.stderr
        return done

    def data(self, *words: str, given: bytes = b"") -> object:
        done = self.run(*words, "--output", "json", given=given)
        return json.loads(done.stdout)["data"]


@pytest.fixture
def cli(vault_bench: VaultBench) -> Cli:
    return Cli(vault_bench, vault_bench.key_uri)


def test_a_day_with_secrets(cli: Cli, tmp_path: Path) -> None:
    done = cli.run(
        "secrets", "set", "stripe/key", "--audience", "api.stripe.com", given=VALUE + b"\n"
    )
    assert b"version 1 is current" in done.stdout and b"newline" in done.stderr
    assert VALUE not in done.stdout + done.stderr
    listed = cli.run("secrets", "list", "--output", "json").stdout
    assert b"stripe/key" in listed and VALUE not in listed and json.loads(listed)["ok"]
    shown = cli.run("secrets", "reveal", "stripe/key", "--purpose", "moving house")
    assert shown.stdout == VALUE
    refused = cli.run(
        "secrets", "reveal", "stripe/key", "--purpose", "x y z", "--output", "json", code=2
    )
    assert VALUE not in refused.stdout
    cli.run("secrets", "reveal", "stripe/key", "--purpose", " ", code=2)
    child = [
        sys.executable,
        "-c",
        "import os; print(os.environ['KEY'], 'DATABASE_URL' in os.environ)",
    ]
    words = ["secrets", "exec", "--map", "stripe/key=KEY", "--", *child]
    assert cli.run(*words).stdout.strip() == VALUE + b" False"
    cli.run("secrets", "exec", "--map", "stripe/key=KEY", "--", "/no/such/program", code=2)
    cli.run("secrets", "set", "stripe/key", given=b"second")
    cli.run("secrets", "rollback", "stripe/key", "--version", "1")
    assert cli.run("secrets", "reveal", "stripe/key", "--purpose", "check").stdout == VALUE
    attested = tmp_path / "attested.json"
    attested.write_bytes(cli.run("secrets", "attest").stdout)
    cli.run("secrets", "attest", "--compare", str(attested))
    cli.run("secrets", "disable", "stripe/key")
    cli.run("secrets", "reveal", "stripe/key", "--purpose", "check", code=1)
    cli.run("secrets", "enable", "stripe/key")
    cli.run("secrets", "expire", "stripe/key")
    cli.run("secrets", "expire", "stripe/key", "--never")
    assert b"rollback done" in cli.run("secrets", "history", "stripe/key").stdout
    cli.run("secrets", "delete", "stripe/key")
    cli.run("secrets", "delete", "stripe/key", code=1)
    cli.run("secrets", "attest", "--compare", str(attested), code=3)


def test_what_may_be_shown_needs_no_master_key(cli: Cli, tmp_path: Path) -> None:
    cli.run("secrets", "set", "stripe/key", given=VALUE)
    cli.run("secrets", "reveal", "stripe/key", "--purpose", "moving house")
    for provider in ("", f"file:{tmp_path}/nowhere"):
        cli.provider = provider
        assert b"stripe/key" in cli.run("secrets", "list").stdout
        shown = cli.run("secrets", "history", "stripe/key").stdout
        assert b"version 1 stored" in shown and b"moving house" in shown
        # The value does.
        code = 4 if provider else 2
        cli.run("secrets", "reveal", "stripe/key", "--purpose", "moving house", code=code)


def test_a_leak_is_stopped_without_a_master_key(cli: Cli) -> None:
    reveal = ("secrets", "reveal", "stripe/key", "--purpose", "after the leak")
    cli.run("secrets", "set", "stripe/key", given=VALUE)
    known = cli.provider
    for stop, go_on in ((["disable"], ["enable"]), (["expire"], ["expire", "--never"])):
        cli.provider = ""
        cli.run("secrets", stop[0], "stripe/key", *stop[1:])
        cli.provider = known
        assert VALUE not in cli.run(*reveal, code=1).stdout
        cli.provider = ""
        cli.run("secrets", go_on[0], "stripe/key", *go_on[1:])
        cli.provider = known
        assert cli.run(*reveal).stdout == VALUE
    cli.provider = ""
    cli.run("secrets", "delete", "stripe/key")
    assert cli.data("secrets", "list") == []


def test_a_value_on_the_command_line_is_refused(cli: Cli) -> None:
    for words in (["stripe/key", VALUE.decode()], [VALUE.decode()]):
        done = cli.run("secrets", "set", *words, given=b"x", code=2)
        assert b"command line" in done.stderr
        assert VALUE not in done.stdout + done.stderr
    assert cli.data("secrets", "list") == []
    cli.run("secrets", "set", "a", given=b"", code=2)
    cli.run("secrets", "set", "a", given=bytes(1 << 20), code=2)
    done = cli.run("secrets", "set", "a", "--organization", str(generate_id()), given=b"x", code=1)
    assert b"no such organization" in done.stderr


def generate_id() -> object:
    from uuid import uuid4

    return uuid4()


def test_import_and_export(cli: Cli, tmp_path: Path) -> None:
    cli.run("secrets", "import", "--format", "env", given=b"# c\nexport A_KEY='one'\nB=two\n")
    cli.run("secrets", "import", "--format", "json", given=b'{"c": "three"}')
    cli.run("secrets", "import", "--format", "json", given=b"[1]", code=2)
    cli.run("secrets", "import", "--format", "env", given=b"no pair", code=2)
    # All or nothing: a name given twice, or more than is read, stores none of it.
    for form, given in (("env", b"x=1\nY=2\nX=3\n"), ("json", b'{"x": "1", "x": "2"}')):
        done = cli.run("secrets", "import", "--format", form, given=given, code=2)
        assert b"again" in done.stderr or b"twice" in done.stderr
    large = tmp_path / "large.env"
    large.write_bytes(b"x=" + b"1" * (64 << 20) + b"\n")
    assert b"64 MiB" in cli.run("secrets", "import", "--format", "env", "--file", str(large),
                                code=2).stderr  # fmt: skip
    assert len(json.loads(cli.run("secrets", "list", "--output", "json").stdout)["data"]) == 3
    # Only a line feed ends a line.
    cli.run("secrets", "import", "--format", "env", given="u=a\u2028b\x0bc\r\n".encode())
    shown = cli.run("secrets", "reveal", "u", "--purpose", "check").stdout
    assert shown == "a\u2028b\x0bc".encode()
    cli.run("secrets", "delete", "u")
    identity, recipient = new_identity()
    (tmp_path / "id").write_bytes(identity.reveal())
    export = cli.run("secrets", "export", "--purpose", "moving", "--recipient", recipient).stdout
    assert export.startswith(b"-----BEGIN AGE") and b"three" not in export
    cli.run("secrets", "export", "--purpose", "moving", code=2)
    cli.run("secrets", "export", "--purpose", "moving", "--recipient", "age1bad", code=2)
    for name in ("a_key", "b", "c"):
        cli.run("secrets", "delete", name)
    words = ["secrets", "import", "--format", "export", "--identity", str(tmp_path / "id")]
    cli.run(*words, given=export)
    assert cli.run("secrets", "reveal", "a_key", "--purpose", "check").stdout == b"one"
    cli.run(*words, given=export[:-40] + export[-30:], code=2)
    actions = [e.action for e in cli.bench.store.access_log(ALDER, "c")]
    assert actions.count("reveal") == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("audit", "seal", "--key", "KEY"), 0),
        (("backup", "verify", "/dev/null", "--key", "KEY"), 1),
        (("organization", "import", "/nowhere", "--key", "KEY"), 1),
        (("retention", "run", "--key", "KEY"), 0),
        (("keys", "recovery", "split", "--provider", "KEY", "--out", "OUT", "--shares", "2",
          "--threshold", "2"), 0),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_whoever_reads_a_key_keeps_it_to_itself(
    cli: Cli, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    """No core dump: the key command inherits the limit, and gives the key only below it."""
    key = tmp_path / "give"
    key.write_text(
        "import resource, sys\n"
        "if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0): sys.exit(9)\n"
        f"print({masterkey.text(masterkey.generate())!r})\n"
    )
    given = {"KEY": f"cmd:{shlex.join((sys.executable, str(key)))}", "OUT": str(tmp_path / "out")}
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    done = harmonia(
        *(given.get(word, word) for word in words), env=cli.environment, code=code,
        first=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
    )  # fmt: skip
    assert b"ended with status 9" not in done.stderr


def test_an_end_with_an_offset_is_that_moment(cli: Cli) -> None:
    """The offset was dropped: the value was given out for hours after its end."""
    for given in ("2090-01-01T02:00:00+02:00", "2089-12-31T19:00:00-05:00", "2090-01-01"):
        cli.run("secrets", "set", "a", "--expires", given, given=VALUE)
        cli.run("secrets", "set", "b", given=VALUE)
        cli.run("secrets", "expire", "b", "--at", given)
        ends = [cli.bench.store.show(ALDER, name, actor=WORKER).expires_at for name in "ab"]
        assert ends == [datetime(2090, 1, 1, tzinfo=UTC)] * 2, given


def test_a_mark_at_the_beginning_of_an_import_is_no_part_of_it(cli: Cli) -> None:
    for form, given in (("env", b"A=1\n"), ("json", b'{"a": "1"}')):
        cli.run("secrets", "import", "--format", form, given=b"\xef\xbb\xbf" + given)
        assert cli.run("secrets", "reveal", "a", "--purpose", "check").stdout == b"1"
        cli.run("secrets", "delete", "a")
        cli.run(
            "secrets", "import", "--format", form, given=given.decode().encode("utf-16"), code=2
        )


def test_a_value_that_finds_no_way_out(cli: Cli) -> None:
    """Said, counted as revealed only where it might have been, and never called exported."""
    cli.run("secrets", "set", "a", given=VALUE)
    recipient = new_identity()[1]
    for words in (
        ("secrets", "reveal", "a", "--purpose", "check the output"),
        ("secrets", "export", "--recipient", recipient, "--purpose", "check the output"),
    ):
        shell = f"{shlex.join(command(*words))} "
        for way, code, says in (
            (">&-", 1, b"stdout is closed"),
            ("> /dev/full", 1, b"No space left"),
            ("| true", 0, b""),
            ("> /dev/null", 0, None),
        ):
            before = len(cli.bench.store.access_log(ALDER, "a"))
            done = subprocess.run(
                ["/bin/sh", "-c", shell + way],
                env=environment(cli.environment), capture_output=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == code and b"unexpected" not in done.stderr, (way, done)
            assert VALUE not in done.stderr
            if says is not None:
                assert says in done.stderr and b"exported" not in done.stderr, (way, done)
            recorded = len(cli.bench.store.access_log(ALDER, "a")) - before
            assert (recorded > 0) == (way != ">&-"), way


def test_an_input_that_is_closed(cli: Cli) -> None:
    """As where a service starts a command without one."""
    for words in (("secrets", "set", "a"), ("secrets", "import", "--format", "env")):
        done = harmonia(*words, env=cli.environment, code=2, first=lambda: os.close(0))
        assert b"stdin is closed" in done.stderr
    elsewhere = {**cli.environment, "DATABASE_URL": "postgresql://db.example:5432/crm"}
    done = harmonia("keys", "init", env=elsewhere, code=2, first=lambda: os.close(0))
    assert b"which is not this machine" in done.stderr


def _number(share: Path) -> int:
    body = share.read_bytes().strip()[:-9].split(b"_", 2)[2]
    return base64.urlsafe_b64decode(body + b"==")[-1]


def test_keys_and_recovery(cli: Cli, tmp_path: Path) -> None:
    cli.bench.store.set(ALDER, "a", Secret("v"), actor=WORKER)
    key_id = masterkey.master_key_id(cli.bench.master_key)
    assert key_id.encode() in cli.run("keys", "check").stdout
    cli.run("keys", "init")  # again: nothing changes
    # k of n, each share to its holder.
    holders = [new_identity() for _ in range(3)]
    recipients = [word for _, recipient in holders for word in ("--recipient", recipient)]
    folder = tmp_path / "shares"
    cli.run("keys", "recovery", "split", "--out", str(folder), "--shares", "3", "--threshold", "2",
            *recipients)  # fmt: skip
    assert (folder / "share-1.age").stat().st_mode & 0o777 == 0o600
    identities = tmp_path / "identities"
    identities.write_bytes(b"\n".join(identity.reveal() for identity, _ in holders))
    two = [str(folder / "share-1.age"), str(folder / "share-3.age")]
    done = cli.run("keys", "recovery", "drill", *two, "--identity", str(identities))
    assert key_id.encode() in done.stdout
    cli.run("keys", "recovery", "drill", two[0], "--identity", str(identities), code=2)
    cli.run("keys", "recovery", "drill", two[0], code=2)
    # Plain shares, and an age file that any one recipient opens.
    plain = tmp_path / "plain"
    cli.run("keys", "recovery", "split", "--out", str(plain), "--shares", "5", "--threshold", "3")
    files = [str(plain / f"share-{n}.txt") for n in (5, 2, 4)]
    cli.run("keys", "recovery", "drill", *files)
    cli.run("keys", "recovery", "drill", files[0], files[0], files[0], code=2)
    # Of two splits: a key that never was, and nobody is sent to look for a provider.
    again = tmp_path / "again"
    cli.run("keys", "recovery", "split", "--out", str(again), "--shares", "5", "--threshold", "3")
    # Numbers are random: not one that another share has.
    taken = {_number(Path(file)) for file in files}
    other = next(path for path in again.iterdir() if _number(path) not in taken)
    mixed = [files[0], files[1], str(other)]
    done = cli.run("keys", "recovery", "drill", *mixed, "--restore", str(tmp_path / "no"), code=1)
    assert b"shares of two splits" in done.stderr and b"--provider" not in done.stderr
    assert not (tmp_path / "no").exists()
    Path(files[0]).write_bytes(Path(files[0]).read_bytes().replace(b"hmr1_3", b"hmr1_2"))
    cli.run("keys", "recovery", "drill", *files, code=2)
    whole = tmp_path / "whole"
    cli.run("keys", "recovery", "split", "--out", str(whole), *recipients)
    (tmp_path / "one").write_bytes(holders[1][0].reveal())
    restored = tmp_path / "restored.key"
    cli.run("keys", "recovery", "drill", str(whole / "master-key.age"), "--identity",
            str(tmp_path / "one"), "--restore", str(restored))  # fmt: skip
    cli.provider = f"file:{restored}"
    cli.run("keys", "check")
    cli.run("keys", "recovery", "split", "--out", str(whole), *recipients, code=2)
    # A foreign key's copies are told apart.
    other = tmp_path / "other.key"
    other.write_text(masterkey.text(masterkey.generate()))
    other.chmod(0o600)
    foreign = tmp_path / "foreign"
    cli.run("keys", "recovery", "split", "--out", str(foreign), "--shares", "2", "--threshold",
            "2", "--provider", f"file:{other}")  # fmt: skip
    mixed = [str(foreign / "share-1.txt"), str(foreign / "share-2.txt")]
    cli.run("keys", "recovery", "drill", *mixed, code=1)


def test_rotation_and_shredding(cli: Cli, tmp_path: Path) -> None:
    cli.bench.store.set(ALDER, "a", Secret("v"), actor=WORKER)
    assert cli.data("keys", "rotate-organization", "--dry-run") == {"would_move": 1}
    moved = cli.data("keys", "rotate-organization")
    assert isinstance(moved, dict) and moved["finished"] and moved["moved"] == 1
    assert cli.data("keys", "verify") == {"opened": 1, "failed": {}}
    new = tmp_path / "new.key"
    new.write_text(masterkey.text(masterkey.generate()))
    new.chmod(0o600)
    old, cli.provider = cli.provider, f"file:{new}"
    cli.run("keys", "check", code=1)
    cli.run("keys", "init", code=1)
    done = cli.run("keys", "rewrap", "--old-provider", old)
    assert b"Keep the former master key until" in done.stderr
    cli.run("keys", "verify")
    cli.run("keys", "status", "--organization", str(ALDER))
    reveal = ("secrets", "reveal", "a", "--purpose", "after the rotation", "--provider")
    cli.run(*reveal, old, code=1)
    assert cli.run(*reveal, cli.provider).stdout == b"v"
    new.chmod(0o644)
    assert b"others may read" in cli.run("keys", "check", code=1).stderr
    new.chmod(0o600)
    cli.run("keys", "shred", "--confirm", "no", code=2)
    done = cli.run("keys", "shred", "--confirm", str(ALDER))
    assert b"1 keys destroyed" in done.stdout and b"Backups" in done.stderr
    cli.run("secrets", "reveal", "a", "--purpose", "check", code=1)


def test_webhooks(cli: Cli, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b'{"n": 1}')
    secret = generate_secret()
    signed = cli.data(
        "webhooks", "sign", "--body", str(body), "--id", "msg_1", given=secret.reveal()
    )
    assert isinstance(signed, dict)
    headers = [word for name, value in signed.items() for word in ("--header", f"{name}: {value}")]
    words = ["webhooks", "verify", "--body", str(body), "--scheme", "standard", *headers]
    assert b"valid, id:msg_1" in cli.run(*words, given=secret.reveal()).stdout
    done = cli.run(*words, given=generate_secret().reveal(), code=3)
    assert b"signature_mismatch" in done.stderr and secret.reveal() not in done.stderr
    cli.run(*words, "--at", "1000", given=secret.reveal(), code=3)
    cli.run("secrets", "set", "hook", "--kind", "webhook", given=secret.reveal())
    cli.run(*words, "--secret", "hook")
    cli.run("webhooks", "register", "in", "--scheme", "standard", "--secret", "hook")
    cli.run("webhooks", "register", "in2", "--scheme", "standard", "--secret", "none", code=1)
    with cli.bench.database.connect() as conn:
        row = conn.execute("select id from public.webhook_endpoints").fetchone()
    assert row is not None
    cli.run("webhooks", "rotate-secret", "--endpoint", str(row[0]), "--generate")
    assert cli.bench.store.show(ALDER, "hook", actor=WORKER).version == 2


def test_mistakes_with_master_keys_leave_nothing_behind(cli: Cli, tmp_path: Path) -> None:
    store = cli.bench.store
    store.set(ALDER, "a", Secret("v"), actor=WORKER)
    absent = tmp_path / "absent.key"
    done = cli.run("keys", "init", "--provider", f"file:{absent}", code=1)
    assert b"already has the master key" in done.stderr and not absent.exists()
    for name in ("new", "wrong"):
        (tmp_path / name).write_text(masterkey.text(masterkey.generate()))
        (tmp_path / name).chmod(0o600)
    new, wrong = f"file:{tmp_path}/new", f"file:{tmp_path}/wrong"
    done = cli.run("keys", "rewrap", "--provider", new, "--old-provider", wrong, code=1)
    assert b"no other key was tried" in done.stderr
    cli.run("keys", "rewrap", "--provider", new, code=2)
    cli.run("keys", "check")  # whoever works goes on working
    cli.run("keys", "status", "--organization", "x", code=1)
    cli.run("keys", "rewrap", "--old-provider", new, "--backup-days", "99999999", code=2)


def test_copies_are_written_whole_or_not_at_all(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / "share-3.txt").write_bytes(b"of another split")
    words = ["keys", "recovery", "split", "--out", str(folder), "--shares", "3", "--threshold", "2"]
    done = cli.run(*words, code=2)
    assert b"nothing is overwritten" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["share-3.txt"]
    assert (folder / "share-3.txt").read_bytes() == b"of another split"
    (folder / "share-3.txt").unlink()
    cli.run(*words)
    assert len(list(folder.iterdir())) == 3
    done = cli.run("keys", "recovery", "split", "--out", "/proc/none", "--shares", "3",
                   "--threshold", "2", code=1)  # fmt: skip
    assert b"path.not_writable" in done.stderr


def test_no_holder_counts_twice(cli: Cli, tmp_path: Path) -> None:
    """Two copies that one lost identity takes away are one."""
    one, two = (new_identity()[1] for _ in range(2))
    words = ["keys", "recovery", "split", "--out", str(tmp_path / "copies"), "--recipient", one]
    shares = ["--shares", "2", "--threshold", "2"]
    for more in ([], shares):
        done = cli.run(*words, "--recipient", one, *more, code=2)
        assert b"named twice" in done.stderr and not (tmp_path / "copies").exists()
    for more in ([], shares):
        cli.run(*words, "--recipient", two, *more)


def test_a_child_gets_its_secrets_and_nothing_of_ours(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.run("secrets", "set", "a", given=VALUE)
    ours = ("PGPASSWORD", "VAULT_TOKEN", "GOOGLE_ACCESS_TOKEN", "HARMONIA_X", "DATABASE_URL")
    for name in ours:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("THEIRS", "kept")
    look = (
        "import os, resource, sys;"
        "print(os.environ['KEY'], os.environ['THEIRS'],"
        f" [name for name in {ours!r} if name in os.environ],"
        " resource.getrlimit(resource.RLIMIT_CORE))"
    )
    done = cli.run("secrets", "exec", "--map", "a=KEY", "--", sys.executable, "-c", look)
    assert done.stdout.strip() == VALUE + b" kept [] (0, 0)"
    for mapping in ("a", "a=", "a=1X", "a=A B", "a=\u00e4"):
        cli.run("secrets", "exec", "--map", mapping, "--", "true", code=2)
    cli.run("secrets", "exec", "--map", "absent=KEY", "--", "true", code=1)
    cli.run("secrets", "exec", "--map", "a=KEY", code=2)


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_crash_shows_no_value(cli: Cli, tmp_path: Path, debug: str) -> None:
    """Even a fault of our own, in the middle of sealing, with the value in local variables."""
    (tmp_path / "sitecustomize.py").write_text(
        "from harmonia_py.secrets import store\n"
        "def crash(plaintext, kind):\n"
        "    raise RuntimeError('crashed')\n"
        "store.hint_of = crash\n"
    )
    env = {
        "PYTHONPATH": str(tmp_path),
        "DATABASE_URL": cli.bench.database.owner_dsn,
        "HARMONIA_MASTER_KEY_PROVIDER": cli.provider,
        "HARMONIA_ORGANIZATION": str(ALDER),
        "HARMONIA_DEBUG": debug,
    }
    done = harmonia("secrets", "set", "a", env=env, given=VALUE, code=1)
    assert (b"Traceback" in done.stderr and b"crashed" in done.stderr) is bool(debug)
    assert debug or b"unexpected RuntimeError" in done.stderr
    assert VALUE not in done.stdout + done.stderr
    assert cli.data("secrets", "list") == []
