"""The development database: it starts, survives what happens to processes, and says no clearly."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from fix_cli import answer, command, environment, harmonia

import harmonia_py
from harmonia_py import development, dsn
from harmonia_py.development import process, state
from harmonia_py.engines import binaries as installations
from harmonia_py.engines.osuser import RunAs, give, run_as
from harmonia_py.engines.server import free_port
from harmonia_py.errors import Busy


def as_ordinary_user(
    user: RunAs | None, project: Path, action: Callable[[ModuleType], object]
) -> str:
    """Give ``action`` the module ``development``, without root's rights.

    Return ``ok``, or the error's code and message, or the traceback of what was not expected. In
    a fork: an interpreter below root's home could not be started by anybody else.
    """
    if user is not None:
        # Nor could a checkout there be read: the files of the library lie where the user can.
        library = project.parent / "library" / "harmonia_py"
        shutil.copytree(Path(harmonia_py.__file__).parent, library)
        for path in [library.parent, library, *library.rglob("*")]:
            give(path, user)
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(send, _said(user, project, action).encode())
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive) as source:
        said = source.read()
    os.waitpid(child, 0)
    return said


def _said(user: RunAs | None, project: Path, action: Callable[[ModuleType], object]) -> str:
    try:
        if user is not None:
            for name in [n for n in sys.modules if n.split(".")[0] == "harmonia_py"]:
                del sys.modules[name]
            sys.path.insert(0, str(project.parent / "library"))
        library = import_module("harmonia_py.development")
        if user is not None:
            assert Path(library.__file__ or "").is_relative_to(project.parent)
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
        action(library)
        return "ok"
    except Exception as error:
        if (code := getattr(error, "code", None)) is not None:
            return f"{code}: {error}"
        return traceback.format_exc()


def count_notes(url: str) -> int:
    with dsn.connect(url) as conn:
        row = conn.execute("select count(*) from public.notes").fetchone()
    return int(row[0]) if row else -1


@pytest.fixture
def project() -> Iterator[Path]:
    """A project with one migration and one seed, in a path with a space and a quote."""
    # Not pytest's tmp_path: its parents are closed to the server's user when root runs the tests.
    shm = Path("/dev/shm")
    roomy = shm.is_dir() and shutil.disk_usage(shm).free > 2**30
    memory = shm if roomy else None
    with tempfile.TemporaryDirectory(prefix="harmonia-test-", dir=memory) as scratch:
        Path(scratch).chmod(0o755)
        root = Path(scratch) / "it's a project"
        (root / "supabase" / "migrations").mkdir(parents=True)
        (root / "supabase" / "migrations" / "20260101000000_notes.sql").write_text(
            "create table public.notes (id integer primary key, owner uuid default auth.uid());\n"
        )
        (root / "supabase" / "seed.sql").write_text(
            "insert into public.notes (id) values (1) on conflict do nothing;\n"
        )
        try:
            yield root
        finally:
            development.down(root, delete=True)


def test_up_twice_then_down(project: Path) -> None:
    port = free_port()
    first = answer("up", "--port", str(port), cwd=project)
    assert first["database"] == f"127.0.0.1:{port}/postgres"
    assert answer("up", cwd=project)["pid"] == first["pid"]
    url = harmonia("status", "--url", cwd=project).text.strip()
    assert count_notes(url) == 1
    assert harmonia("down", cwd=project).text == "stopped\n"
    assert answer("status", cwd=project, code=3)["code"] == "check.failed"
    assert harmonia("down", cwd=project).text == "it was not running\n"
    harmonia("up", cwd=project)
    assert count_notes(url) == 1


def test_survives_a_killed_server(project: Path) -> None:
    before = development.up(project, port=free_port())
    os.kill(before.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while process.server_pid(Path(before.data_dir)) and time.monotonic() < deadline:
        time.sleep(0.05)
    found = development.status(project)
    assert found is not None
    assert not found.running
    after = development.up(project)
    assert after.running
    assert after.pid != before.pid
    assert count_notes(after.dsn_as("postgres")) == 1


def test_survives_a_server_killed_before_its_passwords_were_kept(project: Path) -> None:
    found = development.up(project, port=free_port())
    with found.database().connect_admin(autocommit=True) as conn:
        conn.execute("alter role postgres password null")
    after = development.up(project)
    assert count_notes(after.dsn_as("postgres")) == 1


def test_a_stale_pid_file_that_names_another_program(project: Path) -> None:
    before = development.up(project, port=free_port())
    pid_file = Path(before.data_dir) / "postmaster.pid"
    content = pid_file.read_text()
    development.down(project)
    # This very process is alive, and is no server.
    pid_file.write_text(content.replace(str(before.pid), str(os.getpid()), 1))
    assert process.server_pid(Path(before.data_dir)) is None
    assert development.up(project).running


def test_a_damaged_state_file_is_no_obstacle(project: Path) -> None:
    (project / ".harmonia").mkdir()
    (project / ".harmonia" / "state.json").write_text("{half")
    assert development.status(project) is None
    assert development.up(project, port=free_port()).running


@pytest.mark.parametrize("copied", [True, False])
def test_a_copied_or_moved_project_is_one_of_its_own(project: Path, *, copied: bool) -> None:
    first = development.up(project, port=free_port())
    development.down(project)
    other = project.with_name("other")
    if copied:
        shutil.copytree(project, other)
        for path in [other, *other.rglob("*")]:
            give(path, run_as())
        first = development.up(project)
        assert answer("status", cwd=other, code=3)["code"] == "check.failed"
        assert not development.down(other)
        assert process.server_pid(Path(first.data_dir)) == first.pid
    else:
        project.rename(other)
    try:
        second = development.up(other, port=free_port())
        assert Path(second.data_dir) == other / ".harmonia" / "data"
        assert count_notes(second.dsn_as("postgres")) == 1
    finally:
        assert development.down(other, delete=True)
    if copied:
        assert count_notes(first.dsn_as("postgres")) == 1
    else:
        assert not project.exists()


def test_a_server_whose_state_file_is_lost_can_be_stopped_and_deleted(project: Path) -> None:
    found = development.up(project, port=free_port())
    remembered = project / ".harmonia" / "state.json"
    kept = remembered.read_text()
    remembered.unlink()
    assert harmonia("down", cwd=project).text == "stopped\n"
    error = answer("up", cwd=project, code=1)
    assert error["code"] == "development.broken"
    assert "state.json" in error["message"] and "down --delete" in error["hint"]
    remembered.write_text(kept)
    assert development.up(project).running
    remembered.unlink()
    assert harmonia("down", "--delete", cwd=project).text == "stopped\ndeleted\n"
    assert not Path(found.data_dir).exists()
    assert development.up(project, port=free_port()).running


def test_a_killed_first_start_is_begun_anew(project: Path) -> None:
    """Killed during initdb, then while the server starts: nothing half made is taken for whole."""
    port = str(free_port())
    elsewhere = project.parent / "tmp"
    elsewhere.mkdir()
    elsewhere.chmod(0o1777)
    for name in ("PG_VERSION", "postmaster.pid"):
        first = subprocess.Popen(
            command("up", "--port", port), cwd=project, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment({"TMPDIR": str(elsewhere)}),
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not list((project / ".harmonia").glob(f"data*/{name}")):
            assert time.monotonic() < deadline and first.poll() is None
            time.sleep(0.002)
        first.kill()
        first.wait()
        assert not list(elsewhere.iterdir()), "the password would stay there"
        found = answer("up", "--port", port, cwd=project)
        assert count_notes(harmonia("status", "--url", cwd=project).text.strip()) == 1
        assert [path.name for path in (project / ".harmonia").glob("data*")] == ["data"]
        assert found["port"] == int(port)
        harmonia("down", "--delete", cwd=project)


def test_a_umask_that_closes_everything(project: Path) -> None:
    def closed() -> None:
        os.umask(0o077)

    harmonia("up", "--port", str(free_port()), cwd=project, first=closed)
    assert count_notes(harmonia("status", "--url", cwd=project).text.strip()) == 1


def test_a_path_that_pg_ctl_would_give_to_a_shell_is_refused(project: Path) -> None:
    odd = project.rename(project.with_name("a $(touch made) project"))
    error = answer("up", "--port", str(free_port()), cwd=odd, code=1)
    assert error["code"] == "engine.start_failed" and "rename" in error["hint"]
    development.down(odd, delete=True)
    odd.rename(project)
    assert development.up(project, port=free_port()).running


@pytest.mark.parametrize("shared", [False, True])
def test_nothing_is_left_where_the_data_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, shared: bool
) -> None:
    monkeypatch.setattr(process, "SYSTEM", tmp_path)
    data = tmp_path / "project" / "data"
    data.mkdir(parents=True)
    if shared:
        (data.parent / "notes").touch()
    process.delete(data)
    assert not data.exists()
    assert data.parent.exists() is shared


def test_refuses_a_port_in_use(project: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = answer("up", "--port", str(port), cwd=project, code=1)
    assert error["code"] == "engine.port_in_use"
    assert str(port) in error["message"]
    assert not (project / ".harmonia" / "data").exists()
    harmonia("up", "--port", str(port), cwd=project)


def test_refuses_a_second_port_while_running(project: Path) -> None:
    first = development.up(project, port=free_port())
    error = answer("up", "--port", str(free_port()), cwd=project, code=1)
    assert str(first.port) in error["message"]


def test_a_failing_migration_is_named_and_can_be_corrected(project: Path) -> None:
    broken = project / "supabase" / "migrations" / "20260102000000_broken.sql"
    broken.write_text("create table public.more (id integer);\nselect no_such_column;\n")
    error = answer("up", "--port", str(free_port()), cwd=project, code=1)
    assert "20260102000000_broken.sql" in error["message"]
    broken.write_text("create table public.more (id integer);\n")
    harmonia("up", cwd=project)


def test_a_folder_without_a_project_gets_the_environment(project: Path) -> None:
    shutil.rmtree(project / "supabase")
    found = development.up(project, port=free_port())
    with dsn.connect(found.dsn_as("postgres")) as conn:
        assert conn.execute("select auth.uid()").fetchone() == (None,)


def test_two_at_once_do_not_collide(project: Path) -> None:
    with state.exclusive(project), pytest.raises(Busy):
        development.up(project, port=free_port())
    assert development.up(project, port=free_port()).running


def test_runs_for_an_ordinary_user(project: Path) -> None:
    user = run_as()
    for path in [project.parent, project, *project.rglob("*")]:
        give(path, user)
    binaries = installations.find()  # for root a copy that others can read, when need be
    port = free_port()

    def life(development: ModuleType) -> None:
        found = development.up(project, port=port, pg_bin=binaries.bin_dir)
        assert Path(found.data_dir) == project / ".harmonia" / "data"
        assert count_notes(found.dsn_as("postgres")) == 1
        assert development.down(project, delete=True)

    assert as_ordinary_user(user, project, life) == "ok"


def test_says_which_folder_cannot_be_written(project: Path) -> None:
    project.chmod(0o555)
    try:
        said = as_ordinary_user(run_as(), project, lambda d: d.up(project, port=free_port()))
    finally:
        project.chmod(0o755)
    assert said.startswith("path.not_writable: ")
    assert str(project) in said


def test_runs_for_root_below_a_folder_closed_to_others(project: Path) -> None:
    if run_as() is None:
        assert process.choose_data_dir(project) == project / ".harmonia" / "data"
        return
    project.parent.chmod(0o700)
    found = development.up(project, port=free_port())
    assert found.running
    assert found.data_dir.startswith("/var/lib/harmonia/")
    assert count_notes(found.dsn_as("postgres")) == 1


def test_the_password_is_in_no_log(project: Path) -> None:
    found = development.up(project, port=free_port())
    log = Path(found.data_dir).parent / "postgres.log"
    assert log.exists()
    assert found.password not in log.read_text()
    assert found.password not in repr(found)
    assert (project / ".harmonia" / "state.json").stat().st_mode & 0o077 == 0


def test_wrong_binaries_are_refused(project: Path) -> None:
    error = answer("up", "--pg-bin", str(project), cwd=project, code=1)
    assert error["code"] == "engine.binaries_missing"
