"""Master keys in files, commands, the environment, keyrings and cloud services."""

from __future__ import annotations

import base64
import gzip
import os
import re
import resource
import socket
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from json import dumps, loads
from pathlib import Path
from stat import S_ISDIR
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest

from harmonia_py.errors import (
    DecryptFailed,
    InvalidMasterKey,
    KeyProviderDenied,
    KeyProviderUnavailable,
    MalformedEnvelope,
    SecretError,
    UsageError,
)
from harmonia_py.lifecycle import keys, stream
from harmonia_py.secrets import KeyProvider, Secret, WrapContext, masterkey, provider, recovery
from harmonia_py.secrets.providers import LocalKey, Rewraps, gcp, http, local, local_master_key
from harmonia_py.secrets.providers.aws import AwsKms
from harmonia_py.secrets.providers.gcp import GcpKms, access_token, crc32c
from harmonia_py.secrets.providers.transit import VaultTransit

CONTEXT = WrapContext(uuid4(), uuid4())
ROOT = bytes(range(32))


def _file(path: Path, mode: int = 0o600) -> Secret:
    key = masterkey.generate()
    local.write_file(path, key)
    path.chmod(mode)
    return key


def test_file(tmp_path: Path) -> None:
    key = _file(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    opened = provider(f"file:{tmp_path}/key")
    assert opened.kind == "file"
    assert opened.master_key_id == masterkey.master_key_id(key)
    assert opened.unwrap(opened.wrap(ROOT, CONTEXT), CONTEXT) == ROOT
    assert local_master_key(f"file:{tmp_path}/key") == key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o777])
def test_a_file_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    _file(tmp_path / "key", mode)
    with pytest.raises(KeyProviderDenied, match="others may read") as refused:
        provider(f"file:{tmp_path}/key")
    assert "hmk1" not in str(refused.value)


def test_a_file_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _file(tmp_path / "key")
    real = os.fstat

    def foreign(descriptor: int) -> os.stat_result:
        state = list(real(descriptor))
        state[4] = 12345  # the owner
        return os.stat_result(state)

    monkeypatch.setattr(os, "fstat", foreign)
    with pytest.raises(KeyProviderDenied, match="belongs to user 12345"):
        local.read_file(str(tmp_path / "key"))


def test_other_bad_files(tmp_path: Path) -> None:
    with pytest.raises(KeyProviderUnavailable, match="there is no key file") as refused:
        provider(f"file:{tmp_path}/absent")
    assert f"harmonia keys init --provider file:{tmp_path}/absent " in (refused.value.hint or "")
    assert f"harmonia audit keygen {tmp_path}/absent " in (refused.value.hint or "")
    with pytest.raises(InvalidMasterKey):
        provider(f"file:{tmp_path}")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(InvalidMasterKey, match="not a regular file"):
        provider(f"file:{tmp_path}/pipe")
    (tmp_path / "text").write_text("password")
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(InvalidMasterKey):
        provider(f"file:{tmp_path}/text")
    _file(tmp_path / "key")
    with pytest.raises(UsageError, match="not overwritten"):
        local.write_file(tmp_path / "key", masterkey.generate())


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707, 0o720])
def test_a_folder_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    """They could put another key in its place, or take it away for good."""
    folder = tmp_path / "open" / "inner"
    folder.mkdir(parents=True)
    _file(folder / "key")
    uri = f"file:{folder}/key"
    for place in (folder, folder.parent):
        place.chmod(mode)
        with pytest.raises(KeyProviderDenied, match=f"write to {place} ") as refused:
            provider(uri)
        assert refused.value.hint == f"chmod go-w {place}"
        with pytest.raises(KeyProviderDenied, match="may replace"):
            local.write_file(folder / "new", masterkey.generate())
        assert not (folder / "new").exists()
        place.chmod(0o755)
        provider(uri)
    # As /tmp is: nobody may move there what belongs to another.
    folder.parent.chmod(0o1777)
    provider(uri)


def test_a_link_is_followed_and_its_folders_count(tmp_path: Path) -> None:
    safe, loose = tmp_path / "safe", tmp_path / "loose"
    for folder in (safe, loose):
        folder.mkdir()
    key = _file(safe / "key")
    (safe / "link").symlink_to("key")
    (loose / "link").symlink_to(safe / "link")
    (tmp_path / "alias").symlink_to(loose)
    for place in (safe / "link", loose / "link", tmp_path / "alias" / "link"):
        opened = provider(f"file:{place}")
        assert opened.master_key_id == masterkey.master_key_id(key)
    loose.chmod(0o777)
    provider(f"file:{safe}/link")
    for place in (loose / "link", tmp_path / "alias" / "link"):
        with pytest.raises(KeyProviderDenied, match="may replace"):
            provider(f"file:{place}")
    # The file a link points to is judged, not the link.
    loose.chmod(0o755)
    (safe / "key").chmod(0o644)
    with pytest.raises(KeyProviderDenied, match="others may read"):
        provider(f"file:{loose}/link")
    (safe / "loop").symlink_to("loop")
    with pytest.raises(KeyProviderUnavailable):
        provider(f"file:{safe}/loop")


def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs").mkdir()
    _file(tmp_path / "theirs" / "key")
    real = os.stat

    def foreign(path: Any, **options: Any) -> os.stat_result:
        state = list(real(path, **options))
        if Path(path) == tmp_path / "theirs":
            state[4] = 12345  # the owner
        return os.stat_result(state)

    monkeypatch.setattr(os, "stat", foreign)
    with pytest.raises(KeyProviderDenied, match="theirs of the key file"):
        local.read_file(str(tmp_path / "theirs" / "key"))


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = _file(tmp_path / "key")
    opened = provider(f"cmd:cat {tmp_path}/key")
    assert opened.master_key_id == masterkey.master_key_id(key)
    with pytest.raises(KeyProviderDenied, match="status 1"):
        provider("cmd:false")
    with pytest.raises(KeyProviderUnavailable):
        provider("cmd:/nonexistent/command")
    with pytest.raises(InvalidMasterKey):
        provider("cmd:echo hello; cat key")  # no shell: echo prints it all
    with pytest.raises(UsageError):
        provider("cmd:echo 'open")
    monkeypatch.setattr(local, "COMMAND_TIMEOUT", 0.1)
    with pytest.raises(KeyProviderUnavailable, match="did not answer"):
        provider("cmd:sleep 5")


@pytest.mark.parametrize("then", ["", "; sleep 60", "; exit 3"])
def test_a_command_that_prints_without_end_is_ended(then: str) -> None:
    """All of it was kept in memory for as long as the command might take."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with pytest.raises(InvalidMasterKey, match="prints more than 4096 bytes"):
        provider(f"cmd:sh -c 'head -c 300000000 /dev/zero{then}'")
    assert time.monotonic() - started < 5
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 50_000  # kB


@pytest.mark.parametrize(
    ("script", "refusal", "says"),
    [
        ("exit 0", InvalidMasterKey, "prints nothing"),
        ("echo; echo", InvalidMasterKey, "prints nothing"),
        ("echo secret >&2; exit 7", KeyProviderDenied, "ended with status 7"),
        ("cat KEY; exit 1", KeyProviderDenied, "ended with status 1"),
        ("cat KEY; cat KEY", InvalidMasterKey, "form hmk1"),
        ("exec >&-; sleep 60", KeyProviderUnavailable, "did not answer in 1 s"),
        ("cat KEY; sleep 60 & exit 0", KeyProviderUnavailable, "did not answer in 1 s"),
    ],
)
def test_odd_commands(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    refusal: type[SecretError],
    says: str,
) -> None:
    _file(tmp_path / "key")
    monkeypatch.setattr(local, "COMMAND_TIMEOUT", 1.0)
    script = script.replace("KEY", f"{tmp_path}/key").replace("sleep 60", "sleep 3")
    with pytest.raises(refusal, match=says) as refused:
        provider(f'cmd:sh -c "{script}"')
    assert not re.search(r"secret|hmk1_[^.]", f"{refused.value} {refused.value.hint}")
    # In parts, slowly, with what belongs to a terminal around it: still the key.
    provider(f"cmd:sh -c 'head -c 9 {tmp_path}/key; sleep 0.2; tail -c +10 {tmp_path}/key; echo'")


def test_what_was_given_by_mistake_is_not_repeated(tmp_path: Path) -> None:
    """Errors end up in logs."""
    text = masterkey.text(_file(tmp_path / "key"))
    for uri in (f"file:{text}", f"env:{text}", f"cmd:{text}", f"cmd:echo {text}",
                f"keyring:{text}/me", f"file:/keys/{text}", text,
                "cmd:VAULT_TOKEN=hmk1_word pass show harmonia"):  # fmt: skip
        for read in (provider, local_master_key, keys.load):
            with pytest.raises(UsageError) as refused:
                read(uri)
            assert "hmk1_" not in f"{refused.value} {refused.value.hint}", uri
    hint = "set VAULT_TOKEN in the environment"
    with pytest.raises(UsageError, match="begins with a setting") as refused:
        provider("cmd:VAULT_TOKEN=word pass show harmonia")
    assert hint in (refused.value.hint or "")
    (tmp_path / "hmk1_of_production").write_bytes((tmp_path / "key").read_bytes())
    (tmp_path / "hmk1_of_production").chmod(0o600)
    provider(f"file:{tmp_path}/hmk1_of_production")


def test_no_half_a_key_is_left_where_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty file in its place was never overwritten and never a key."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(KeyProviderUnavailable, match=r"cannot write .*key: No space"):
            local.write_file(tmp_path / "key", masterkey.generate())
    assert list(tmp_path.iterdir()) == []
    _file(tmp_path / "key")
    provider(f"file:{tmp_path}/key")


def test_an_interrupt_leaves_no_half_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the half of a split, beside which nothing more is written."""

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "copies"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            local.write_file(tmp_path / "key", masterkey.generate())
        with pytest.raises(KeyboardInterrupt):
            recovery.write_copies(folder, {"a": b"1", "b": b"2"})
    assert list(tmp_path.rglob("*")) == [folder]
    recovery.write_copies(folder, {"a": b"1", "b": b"2"})
    with pytest.raises(UsageError, match="already holds copies"):
        recovery.write_copies(folder, {"a": b"1"})


def test_the_folder_of_a_new_key_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It exists nowhere else: a power cut must not take its name away."""
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    _file(tmp_path / "key")
    recovery.write_copies(tmp_path / "copies", {"a": b"1", "b": b"2"})
    with stream.writing(tmp_path / "backup") as file:
        file.write(b"x")
    names = ["key", "", "copies/a", "copies/b", "copies", "backup", ""]
    assert synced == [(tmp_path / name).stat().st_ino for name in names]


@pytest.mark.parametrize(("number", "whole"), [(22, True), (95, True), (5, False)])
def test_a_file_system_that_cannot_sync_folders_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, whole: bool
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with nullcontext() if whole else pytest.raises(KeyProviderUnavailable):
        _file(tmp_path / "key")
    assert (tmp_path / "key").exists() == whole


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    key = masterkey.generate()
    monkeypatch.setenv("MY_KEY", masterkey.text(key))
    assert provider("env:MY_KEY").master_key_id == masterkey.master_key_id(key)
    assert "MY_KEY" not in os.environ
    with pytest.raises(KeyProviderUnavailable):
        provider("env:MY_KEY")


def test_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    key = masterkey.generate()
    entries = {("harmonia", "master"): masterkey.text(key)}

    def get_password(service: str, user: str) -> str | None:
        if service == "broken":
            raise RuntimeError("hmk1_this_must_not_be_shown")
        return entries.get((service, user))

    fake = types.SimpleNamespace(get_password=get_password)
    monkeypatch.setitem(sys.modules, "keyring", fake)
    opened = provider("keyring:harmonia/master")
    assert opened.master_key_id == masterkey.master_key_id(key)
    with pytest.raises(KeyProviderUnavailable, match="no entry"):
        provider("keyring:harmonia/other")
    with pytest.raises(KeyProviderUnavailable) as refused:
        provider("keyring:broken/x")
    assert "hmk1" not in str(refused.value)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(UsageError, match="not installed"):
        provider("keyring:harmonia/master")


@pytest.mark.parametrize("uri", ["", "file", "file:", "s3:x", "http://x"])
def test_unknown_providers(uri: str) -> None:
    with pytest.raises(UsageError):
        provider(uri)


def test_a_wrapped_key_is_bound_to_its_place() -> None:
    opened = LocalKey(masterkey.generate(), "file")
    blob = opened.wrap(ROOT, CONTEXT)
    assert opened.unwrap(blob, CONTEXT) == ROOT
    for moved in (
        WrapContext(uuid4(), CONTEXT.key_id),
        WrapContext(CONTEXT.organization_id, uuid4()),
    ):
        with pytest.raises(DecryptFailed):
            opened.unwrap(blob, moved)
    with pytest.raises(DecryptFailed):
        LocalKey(masterkey.generate(), "file").unwrap(blob, CONTEXT)
    for position in range(len(blob) * 8):
        altered = bytearray(blob)
        altered[position // 8] ^= 1 << (position % 8)
        with pytest.raises(SecretError):
            opened.unwrap(bytes(altered), CONTEXT)
    for length in range(len(blob)):
        with pytest.raises((MalformedEnvelope, DecryptFailed)):
            opened.unwrap(blob[:length], CONTEXT)


boto3: Any = import_module("boto3")
botocore_config: Any = import_module("botocore.config")
botocore_stub: Any = import_module("botocore.stub")
moto: Any = import_module("moto")

# AWS --------------------------------------------------------------------------------------------


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with moto.mock_aws():
        yield boto3.client("kms")


def test_aws(kms: Any) -> None:
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    other = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/harmonia", TargetKeyId=arn)
    opened = provider("awskms:alias/harmonia")
    assert opened.master_key_id == f"awskms:{arn}"
    blob = opened.wrap(ROOT, CONTEXT)
    assert opened.unwrap(blob, CONTEXT) == ROOT
    with pytest.raises(SecretError):
        opened.unwrap(blob, WrapContext(uuid4(), CONTEXT.key_id))
    with pytest.raises(SecretError):
        opened.unwrap(blob[:-1] + bytes([blob[-1] ^ 1]), CONTEXT)
    new = AwsKms(other)
    assert isinstance(opened, Rewraps)
    moved = opened.rewrap(blob, CONTEXT, new)
    assert moved is not None
    assert new.unwrap(moved, CONTEXT) == ROOT
    assert opened.rewrap(blob, CONTEXT, LocalKey(masterkey.generate(), "file")) is None
    with pytest.raises(KeyProviderDenied, match="NotFound"):
        AwsKms("alias/absent").wrap(ROOT, CONTEXT)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AccessDeniedException", KeyProviderDenied),
        ("DisabledException", KeyProviderDenied),
        ("KMSInvalidStateException", KeyProviderDenied),
        ("InvalidCiphertextException", DecryptFailed),
        ("KMSInternalException", KeyProviderUnavailable),
        ("ThrottlingException", KeyProviderUnavailable),
        ("SomethingNew", KeyProviderUnavailable),
    ],
)
def test_aws_errors(kms: Any, code: str, expected: type[SecretError]) -> None:
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    opened = AwsKms(arn, client=kms)
    assert opened.master_key_id.endswith(arn)
    with botocore_stub.Stubber(kms) as stub:
        stub.add_client_error("decrypt", code, "a message that may name the caller")
        with pytest.raises(expected) as refused:
            opened.unwrap(b"blob", CONTEXT)
    assert "caller" not in str(refused.value)


def test_aws_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client(
        "kms",
        region_name="eu-central-1",
        endpoint_url="http://127.0.0.1:9",
        config=botocore_config.Config(retries={"max_attempts": 0}, connect_timeout=1),
    )
    with pytest.raises(KeyProviderUnavailable):
        AwsKms("alias/harmonia", client=client).wrap(ROOT, CONTEXT)


# A key service over HTTP ------------------------------------------------------------------------

Answer = tuple[int, Any]
Handler = Callable[[str, dict[str, str], dict[str, Any]], Answer]


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], str]]:
    servers: list[ThreadingHTTPServer] = []

    def start(handler: Handler) -> str:
        class Http(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = loads(self.rfile.read(length) or b"{}")
                headers = {key.lower(): value for key, value in self.headers.items()}
                status, answer = handler(self.path, headers, body)
                data = answer if isinstance(answer, bytes) else dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with suppress(ConnectionError):  # who asked may have had enough of it
                    self.wfile.write(data)

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Http)
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class FakeTransit:
    """Keeps what it encrypted, as transit does: ciphertext is bound to the associated data."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[str, str]] = {}

    def __call__(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Answer:
        if headers.get("x-vault-token") != "token":
            return 403, {"errors": ["permission denied"]}
        verb, key = path.removeprefix("/v1/transit/").split("/")
        if key != "harmonia":
            return 404, {"errors": []}
        if verb == "encrypt":
            text = f"vault:v1:{base64.b64encode(os.urandom(24)).decode()}"
            self.stored[text] = (body["plaintext"], body["associated_data"])
            return 200, {"data": {"ciphertext": text, "key_version": 1}}
        plaintext, associated = self.stored.get(body["ciphertext"], ("", ""))
        if not plaintext or associated != body["associated_data"]:
            return 400, {"errors": ["cipher: message authentication failed"]}
        if verb == "rewrap":
            text = body["ciphertext"].replace("v1", "v2")
            self.stored[text] = (plaintext, associated)
            return 200, {"data": {"ciphertext": text}}
        return 200, {"data": {"plaintext": plaintext}}


def test_transit(serve: Callable[[Handler], str]) -> None:
    url = serve(FakeTransit())
    opened = VaultTransit(f"{url}/transit#harmonia", token=Secret("token"))
    blob = opened.wrap(ROOT, CONTEXT)
    assert blob.startswith(b"vault:v1:")
    assert opened.unwrap(blob, CONTEXT) == ROOT
    newer = opened.rewrap(blob, CONTEXT, opened)
    assert newer is not None and newer.startswith(b"vault:v2:")
    assert opened.unwrap(newer, CONTEXT) == ROOT
    for bad in (blob[:-4] + b"AAAA", b"\xff\xfe", b"vault:v1:x"):
        with pytest.raises(DecryptFailed):
            opened.unwrap(bad, CONTEXT)
    with pytest.raises(DecryptFailed):
        opened.unwrap(blob, WrapContext(uuid4(), CONTEXT.key_id))
    with pytest.raises(KeyProviderDenied, match="403"):
        VaultTransit(f"{url}/transit#harmonia", token=Secret("bad")).wrap(ROOT, CONTEXT)
    with pytest.raises(KeyProviderDenied, match="404"):
        VaultTransit(f"{url}/transit#other", token=Secret("token")).wrap(ROOT, CONTEXT)


@pytest.mark.parametrize(
    "answer",
    [(503, {"errors": ["Vault is sealed"]}), (429, {}), (200, b"<html>"), (200, {}), (302, {})],
)
def test_transit_is_down(serve: Callable[[Handler], str], answer: Answer) -> None:
    url = serve(lambda path, headers, body: answer)
    with pytest.raises(KeyProviderUnavailable) as refused:
        VaultTransit(f"{url}/transit#harmonia", token=Secret("token")).unwrap(
            b"vault:v1:x", CONTEXT
        )
    assert "token" not in str(refused.value)


def test_an_answer_without_end_is_not_kept(serve: Callable[[Handler], str]) -> None:
    def long(path: str, headers: dict[str, str], body: dict[str, Any]) -> Answer:
        assert headers["accept-encoding"] == "identity"
        return 200, {"data": {"plaintext": _text(ROOT)}, "padding": "x" * (size - 100)}

    for size in (60 << 10, 70 << 10, 8 << 20):
        opened = VaultTransit(f"{serve(long)}/transit#harmonia", token=Secret("token"))
        if size < 64 << 10:
            assert opened.unwrap(b"vault:v1:x", CONTEXT) == ROOT
            continue
        with pytest.raises(KeyProviderUnavailable, match="sent more than 64 KiB"):
            opened.unwrap(b"vault:v1:x", CONTEXT)


@contextmanager
def sending(*pieces: bytes) -> Iterator[VaultTransit]:
    """A service that sends one answer, byte for byte, with a pause between the pieces."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client, suppress(OSError):
                client.recv(4096)
                for piece in pieces:
                    client.sendall(piece)
                    time.sleep(0.1)

        Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/transit#k"
        yield VaultTransit(url, token=Secret("token"))


def test_what_is_packed_is_not_unpacked() -> None:
    """A few bytes can hold any number of them."""
    plain = dumps({"data": {"plaintext": _text(ROOT)}}).encode()
    packed = gzip.compress(plain)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
    with sending(head % len(plain), b"\r\n", plain) as opened:
        assert opened.unwrap(b"vault:v1:x", CONTEXT) == ROOT
    with sending(head % len(packed), b"Content-Encoding: gzip\r\n\r\n", packed) as opened:
        with pytest.raises(KeyProviderUnavailable, match="not JSON"):
            opened.unwrap(b"vault:v1:x", CONTEXT)


def test_a_drip_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_PATIENCE", 0.5)
    with sending(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", *[b" "] * 99) as opened:
        with pytest.raises(KeyProviderUnavailable, match="did not answer in full"):
            opened.unwrap(b"vault:v1:x", CONTEXT)


@pytest.mark.parametrize("token", ["tok\u00e9n", "token\n", "to\x7fken"])
def test_a_token_that_no_header_can_hold(token: str) -> None:
    opened = VaultTransit("https://127.0.0.1:1/transit#k", token=Secret(token))
    with pytest.raises(KeyProviderDenied, match="holds a character") as refused:
        opened.unwrap(b"vault:v1:x", CONTEXT)
    assert "tok" not in str(refused.value).replace("the token", "")


def test_an_address_that_is_none() -> None:
    opened = VaultTransit("https://127.0.0.1:x/transit#k", token=Secret("token"))
    with pytest.raises(UsageError, match="the address of Vault transit is none"):
        opened.unwrap(b"vault:v1:x", CONTEXT)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_transit_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    for url in ("http://vault.example/transit#k", "https://u:p@host/t#k", "https://host/t", "#k"):
        with pytest.raises(UsageError):
            provider(f"transit:{url}")
    with pytest.raises(KeyProviderDenied, match="VAULT_TOKEN"):
        provider("transit:https://127.0.0.1:1/transit#k").wrap(ROOT, CONTEXT)
    monkeypatch.setenv("VAULT_TOKEN", "t")
    with pytest.raises(KeyProviderUnavailable):
        provider("transit:https://127.0.0.1:1/transit#k").wrap(ROOT, CONTEXT)


GCP_KEY = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"


def _b64(value: str) -> bytes:
    return base64.b64decode(value)


class FakeGcp:
    """Cloud KMS: checks the checksums it is sent, as the real one does."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[bytes, bytes]] = {}

    def __call__(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Answer:
        if headers.get("authorization") != "Bearer token":
            return 401, {"error": {"status": "UNAUTHENTICATED"}}
        for name in ("plaintext", "ciphertext", "additionalAuthenticatedData"):
            if name in body and body[f"{name}Crc32c"] != str(crc32c(_b64(body[name]))):
                return 400, {"error": {"status": "INVALID_ARGUMENT"}}
        aad = _b64(body["additionalAuthenticatedData"])
        if path.endswith(":encrypt"):
            blob = os.urandom(60)
            text = base64.b64encode(blob).decode()
            self.stored[text] = (_b64(body["plaintext"]), aad)
            return 200, {
                "ciphertext": text,
                "ciphertextCrc32c": str(crc32c(blob)),
                "verifiedPlaintextCrc32c": True,
            }
        plaintext, bound = self.stored.get(body["ciphertext"], (b"", b""))
        if not plaintext or bound != aad:
            return 400, {"error": {"status": "INVALID_ARGUMENT"}}
        return 200, {
            "plaintext": base64.b64encode(plaintext).decode(),
            "plaintextCrc32c": str(crc32c(plaintext)),
        }


def _gcp(url: str, token: str = "token") -> KeyProvider:
    return GcpKms(GCP_KEY, endpoint=url, token=lambda: token)


def test_gcp(serve: Callable[[Handler], str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    url = serve(FakeGcp())
    opened = _gcp(url)
    assert opened.master_key_id == f"gcpkms:{GCP_KEY}"
    blob = opened.wrap(ROOT, CONTEXT)
    assert opened.unwrap(blob, CONTEXT) == ROOT
    with pytest.raises(DecryptFailed):
        opened.unwrap(blob, WrapContext(uuid4(), CONTEXT.key_id))
    with pytest.raises(DecryptFailed):
        opened.unwrap(bytes([blob[0] ^ 1]) + blob[1:], CONTEXT)
    with pytest.raises(KeyProviderDenied, match="401"):
        _gcp(url, "bad").wrap(ROOT, CONTEXT)
    monkeypatch.setenv("GOOGLE_ACCESS_TOKEN", "token")
    assert GcpKms(GCP_KEY, endpoint=url).unwrap(blob, CONTEXT) == ROOT
    with pytest.raises(UsageError):
        provider("gcpkms:short")
    with pytest.raises(UsageError):
        GcpKms(GCP_KEY, endpoint="http://kms.example")


def test_an_empty_variable_names_no_metadata_server(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(_: str, __: str, url: str, ___: object) -> http.Answer:
        asked.append(url)
        return http.Answer(200, {"access_token": "token"})

    monkeypatch.setattr(gcp, "ask", ask)
    for name in ("GOOGLE_ACCESS_TOKEN", "GCE_METADATA_HOST"):
        monkeypatch.setenv(name, "")
    assert access_token() == "token"
    assert asked[0].startswith("http://metadata.google.internal/")


def test_gcp_token_from_the_metadata_server(
    serve: Callable[[Handler], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def metadata(path: str, headers: dict[str, str], body: dict[str, Any]) -> Answer:
        if headers.get("metadata-flavor") != "Google":
            return 403, {}
        return 200, {"access_token": "token", "expires_in": 100}

    monkeypatch.delenv("GOOGLE_ACCESS_TOKEN", raising=False)
    monkeypatch.setenv("GCE_METADATA_HOST", serve(metadata).removeprefix("http://"))
    url = serve(FakeGcp())
    opened = GcpKms(GCP_KEY, endpoint=url)
    assert opened.unwrap(opened.wrap(ROOT, CONTEXT), CONTEXT) == ROOT


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((400, {"error": {"status": "FAILED_PRECONDITION"}}), KeyProviderDenied),
        ((403, {"error": {"status": "PERMISSION_DENIED"}}), KeyProviderDenied),
        ((500, {}), KeyProviderUnavailable),
        ((200, {"plaintext": "AAAA", "plaintextCrc32c": "1"}), KeyProviderUnavailable),
        ((200, {"plaintext": "*"}), KeyProviderUnavailable),
        ((200, [1]), KeyProviderUnavailable),
    ],
)
def test_gcp_errors(
    serve: Callable[[Handler], str], answer: Answer, expected: type[SecretError]
) -> None:
    with pytest.raises(expected):
        _gcp(serve(lambda path, headers, body: answer)).unwrap(b"blob", CONTEXT)


def test_gcp_must_confirm_what_it_received(serve: Callable[[Handler], str]) -> None:
    url = serve(lambda path, headers, body: (200, {"ciphertext": "AAAA", "ciphertextCrc32c": "0"}))
    with pytest.raises(KeyProviderUnavailable, match="intact"):
        _gcp(url).wrap(ROOT, CONTEXT)
