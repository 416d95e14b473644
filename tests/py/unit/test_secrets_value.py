"""The Secret value, the names and hosts it is bound to, the text form of master keys."""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import pickle
import traceback
from typing import Any
from uuid import uuid4

import httpx
import pytest
from rich.console import Console
from rich.traceback import Traceback

from harmonia_py.errors import InvalidMasterKey, InvalidSecret
from harmonia_py.secrets import OrganizationKey, Secret, SecretContext, audience_of, masterkey
from harmonia_py.secrets.bound import BoundSecret, bound_client
from harmonia_py.secrets.context import check_name
from harmonia_py.secrets.oauth import OAuthTokens, TokenEndpoint
from harmonia_py.secrets.providers import LocalKey

CANARY = "CANARY-9f2b71"


def test_it_shows_stars_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(CANARY)
    logging.getLogger("t").warning("value %s %r", secret, secret)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{[secret]}", caplog.text]
    shown.append("%s" % secret)  # noqa: UP031
    assert all(CANARY not in text for text in shown)
    assert all("***" in text for text in shown)
    assert secret.reveal() == CANARY.encode()


def test_a_traceback_with_locals_shows_stars() -> None:
    secret = Secret(CANARY)
    try:
        raise RuntimeError(f"with {secret}")
    except RuntimeError as error:
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        plain = "".join(trace.format())
        console = Console(record=True, file=io.StringIO())
        console.print(
            Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
        )
        rich_text = console.export_text()
    # The name CANARY is a global, so only its value would be a leak.
    assert "secret = " in plain and CANARY not in plain
    assert "secret = " in rich_text and CANARY not in rich_text


@pytest.mark.parametrize(
    "act", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, bytes, iter, list, hash, vars]
)
def test_it_is_not_copied_or_serialized(act: object) -> None:
    assert callable(act)
    with pytest.raises(TypeError) as refused:
        act(Secret(CANARY))
    assert CANARY not in str(refused.value)


def test_what_holds_keys_is_not_copied_or_shown() -> None:
    root, key = os.urandom(32), masterkey.generate()
    organization_key = OrganizationKey(uuid4(), uuid4(), 1, root)
    context = SecretContext(uuid4(), uuid4(), "a", "")
    bound = BoundSecret("a", 1, "api_key", "", Secret(CANARY))
    tokens = OAuthTokens(Secret(CANARY), Secret(CANARY), None, TokenEndpoint("https://x", "id"))
    holders = [
        organization_key,
        organization_key.data_key,
        organization_key.data_key.handle(context),
        LocalKey(key, "file"),
        bound,
        tokens,
    ]
    for holder in holders:
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(holder)
        shown = repr(holder) + repr(getattr(holder, "__dict__", {}))
        for value in (CANARY, repr(root)[2:-1], repr(key.reveal())[2:-1], root.hex()):
            assert value not in shown


@pytest.mark.parametrize("value", [b"a\n", b"a\r\nX: y", b"\n", b"a ", b"a\t", b"a\0b", b"\x7f"])
def test_a_value_no_header_can_hold_is_not_shown(value: bytes) -> None:
    """The HTTP library refuses it too, and would put it into its message."""
    secret = BoundSecret("hook", 1, "api_key", "api.example.com", Secret(b"CANARY" + value))
    with bound_client(secret) as client:
        client._transport = httpx.MockTransport(lambda _: httpx.Response(200))
        with pytest.raises(InvalidSecret, match="the secret hook") as refused:
            client.get("https://api.example.com/")
    assert "CANARY" not in str(refused.value)
    fine = BoundSecret("hook", 1, "api_key", "api.example.com", Secret(b"a b\xff~"))
    with bound_client(fine) as client:
        client._transport = httpx.MockTransport(lambda _: httpx.Response(200))
        assert client.get("https://api.example.com/").status_code == 200


@pytest.mark.parametrize("value", [5, 10**12, None, 1.5, ["a"], {"a": 1}, True])
def test_it_is_made_of_bytes_or_text_only(value: Any) -> None:
    with pytest.raises(TypeError, match="bytes or text"):
        Secret(value)


@pytest.mark.parametrize(
    "stored",
    [
        b"[" * 30_000,
        b"[]",
        b"5",
        b'{"token_url": "https://x", "client_id": "i", "client_secret": null,'
        b' "access_token": 5, "refresh_token": null, "expires_at": null}',
        b'{"token_url": "https://x", "client_id": "i", "client_secret": null,'
        b' "access_token": "a", "refresh_token": null, "expires_at": "soon"}',
    ],
)
def test_what_is_not_a_token_pair_is_said_to_be_none(stored: bytes) -> None:
    with pytest.raises(InvalidSecret, match="token pair"):
        OAuthTokens.unseal(Secret(stored))


def test_it_compares_and_does_not_change() -> None:
    assert Secret("a") == Secret(b"a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    with pytest.raises(AttributeError):
        Secret("a").other = 1


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("API.HubApi.com", "api.hubapi.com"),
        ("https://api.hubapi.com/v1?x=1", "api.hubapi.com"),
        ("https://api.hubapi.com:443/", "api.hubapi.com"),
        ("https://api.hubapi.com:8443", "api.hubapi.com:8443"),
        ("http://localhost:54321/rest", "localhost:54321"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("[::1]:8000", "[::1]:8000"),
        ("api.hubapi.com.", "api.hubapi.com"),
        ("", ""),
    ],
)
def test_audience(given: str, host: str) -> None:
    assert audience_of(given) == host
    assert audience_of(host) == host


@pytest.mark.parametrize(
    "given",
    ["https://user:pw@host", "a b", "host:99999", "host:x", "https://", "-a.example", "é\ud800"],
)
def test_bad_audience(given: str) -> None:
    with pytest.raises(InvalidSecret) as refused:
        audience_of(given)
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize("name", ["a", "hubspot/token", "x" * 128, "0.a-b_c/d"])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "/a", "a b", "x" * 129, "a\n", "ä", "-a"])
def test_bad_names(name: str) -> None:
    with pytest.raises(InvalidSecret):
        check_name(name)


def test_master_key_text() -> None:
    key = masterkey.generate()
    text = masterkey.text(key)
    assert masterkey.parse(f"  {text}\n".encode()) == key
    assert masterkey.master_key_id(key).startswith("mk_")
    assert masterkey.master_key_id(masterkey.generate()) != masterkey.master_key_id(key)


@pytest.mark.parametrize("last", range(16))
def test_a_slip_in_a_master_key_is_noticed(last: int) -> None:
    # Every last byte there is to the eye: its base64 digit has two bits to spare.
    key = Secret(masterkey.generate().reveal()[:31] + bytes([last]))
    text = masterkey.text(key)
    assert masterkey.parse(text.encode()) == key
    for place in range(5, len(text)):
        for other in "AB" if place < 47 else "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef0123456789-_":
            if other == text[place]:
                continue
            altered = text[:place] + other + text[place + 1 :]
            with pytest.raises(InvalidMasterKey) as refused:
                masterkey.parse(altered.encode())
            assert text[5:20] not in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"correct horse battery staple", b"\xff" * 50, b"hmk1__"])
def test_passphrases_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidMasterKey):
        masterkey.parse(data)


def test_a_key_of_zeros_is_refused() -> None:
    with pytest.raises(InvalidMasterKey, match="not random"):
        masterkey.parse(masterkey.text(Secret(bytes(32))).encode())
