"""Tokens signed with a private key, as Supabase signs them, and the confusions they invite."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fix_api import OLGA, SECRET, reset_guard

from harmonia_py import tokens
from harmonia_py.engines import Engine
from harmonia_py.postgrest import PostgREST

CURVE = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CLAIMS = tokens.user_claims(OLGA.id, OLGA.email)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int) -> str:
    return b64(value.to_bytes(size, "big"))


def jwks() -> dict[str, Any]:
    point, modulus = CURVE.public_key().public_numbers(), RSA.public_key().public_numbers()
    return {
        "keys": [
            {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "curve",
             "x": number(point.x, 32), "y": number(point.y, 32)},
            {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "rsa",
             "n": number(modulus.n, 256), "e": number(modulus.e, 3)},
        ]
    }  # fmt: skip


def es256(data: bytes) -> bytes:
    r, s = decode_dss_signature(CURVE.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def rs256(data: bytes) -> bytes:
    return RSA.sign(data, padding.PKCS1v15(), hashes.SHA256())


def hs256(key: bytes) -> Any:
    return lambda data: hmac.new(key, data, hashlib.sha256).digest()


def public(key: Any) -> bytes:
    encoded: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def token(sign: Any, claims: dict[str, Any] = CLAIMS, **head: Any) -> str:
    text = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{text}.{b64(sign(text.encode()))}"


@pytest.fixture(scope="module")
def url(engine: Engine, template_database: str, postgrest_binary: Path) -> Iterator[str]:
    with engine.database(template=template_database) as database:
        with database.connect() as conn:
            reset_guard(conn)
        with PostgREST(
            database.dsn_as("authenticator"), secret=json.dumps(jwks()), binary=postgrest_binary
        ) as server:
            yield server.url


def status(url: str, value: str) -> int:
    answer = httpx.get(f"{url}/contacts", headers={"authorization": f"Bearer {value}"}, timeout=20)
    return answer.status_code


@pytest.mark.parametrize(
    ("sign", "head"),
    [
        (es256, {"alg": "ES256", "kid": "curve"}),
        (es256, {"alg": "ES256"}),
        (rs256, {"alg": "RS256", "kid": "rsa"}),
    ],
)
def test_a_token_of_either_key_is_accepted(url: str, sign: Any, head: dict[str, Any]) -> None:
    assert status(url, token(sign, **head)) == 200


FORGED = {
    "the RSA public key as an HMAC secret": token(hs256(public(RSA)), alg="HS256", kid="rsa"),
    "the EC public key as an HMAC secret": token(hs256(public(CURVE)), alg="HS256", kid="curve"),
    "the key set as an HMAC secret": token(hs256(json.dumps(jwks()).encode()), alg="HS256"),
    "another HMAC secret": token(hs256(SECRET.encode()), alg="HS256"),
    "an empty HMAC secret": token(hs256(b""), alg="HS256"),
    "no algorithm": token(lambda _: b"", alg="none"),
    "RS256 said to be ES256": token(rs256, alg="ES256", kid="curve"),
    "ES256 said to be RS256": token(es256, alg="RS256", kid="rsa"),
    "a signature of zeros": token(lambda _: bytes(64), alg="ES256", kid="curve"),
    "a key of one's own in the header": token(
        lambda data: ec.generate_private_key(ec.SECP256R1()).sign(data, ec.ECDSA(hashes.SHA256())),
        alg="ES256", jwk=jwks()["keys"][0], jku="http://127.0.0.1:1/jwks",
    ),
    "another payload": ".".join(
        [
            token(es256, alg="ES256").split(".")[0],
            b64(json.dumps({**CLAIMS, "role": "service_role"}).encode()),
            token(es256, alg="ES256").split(".")[2],
        ]
    ),
    "an expired one": token(es256, {**CLAIMS, "exp": 1}, alg="ES256", kid="curve"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_is_not(url: str, name: str) -> None:
    assert status(url, FORGED[name]) == 401
