"""The envelope: published vectors, every flipped bit, every truncation, two-key ciphertexts."""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from pathlib import Path
from uuid import UUID, uuid4

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia_py.errors import (
    DecryptFailed,
    InvalidSecret,
    MalformedEnvelope,
    SecretError,
    UnknownKey,
    UnsupportedEnvelope,
)
from harmonia_py.secrets import MAX_PLAINTEXT, DataKey, SecretContext
from harmonia_py.secrets.context import WEBHOOK_DOMAIN
from harmonia_py.secrets.envelope import OVERHEAD
from harmonia_py.secrets.hierarchy import derive

CONTEXT = SecretContext(
    UUID("0190a000-0000-7000-8000-000000000001"),
    UUID("0190a000-0000-7000-8000-000000000002"),
    "hubspot/token",
    "api.hubapi.com",
)


def _cases(name: str) -> list[dict[str, str]]:
    path = Path(str(cryptography_vectors.__file__)).parent / "ciphers" / "AES" / "GCM" / name
    cases: list[dict[str, str]] = []
    section: dict[str, str] = {}
    for line in path.read_text().splitlines():
        text = line.strip()
        if text.startswith("["):
            key, _, value = text.strip("[]").partition("=")
            section[key.strip()] = value.strip()
        elif text == "FAIL":
            cases[-1]["FAIL"] = "yes"
        elif "=" in text and not text.startswith("#"):
            key, _, value = text.partition("=")
            if key.strip() == "Count":
                cases.append(dict(section))
            cases[-1][key.strip()] = value.strip()
    return [c for c in cases if c["Taglen"] == "128" and int(c["IVlen"]) >= 64]


def test_nist_gcm_decrypt() -> None:
    cases = _cases("gcmDecrypt256.rsp")
    assert len(cases) == 750
    failures = 0
    for case in cases:
        aead = AESGCM(bytes.fromhex(case["Key"]))
        sealed = bytes.fromhex(case["CT"]) + bytes.fromhex(case["Tag"])
        arguments = (bytes.fromhex(case["IV"]), sealed, bytes.fromhex(case["AAD"]))
        if "FAIL" in case:
            failures += 1
            with pytest.raises(InvalidTag):
                aead.decrypt(*arguments)
        else:
            assert aead.decrypt(*arguments) == bytes.fromhex(case["PT"])
    assert 0 < failures < len(cases)


def test_nist_gcm_encrypt() -> None:
    cases = _cases("gcmEncryptExtIV256.rsp")
    assert len(cases) == 750
    for case in cases:
        aead = AESGCM(bytes.fromhex(case["Key"]))
        sealed = aead.encrypt(
            bytes.fromhex(case["IV"]), bytes.fromhex(case["PT"]), bytes.fromhex(case["AAD"])
        )
        assert sealed == bytes.fromhex(case["CT"]) + bytes.fromhex(case["Tag"])


def _blocks(*path: str) -> list[dict[str, str]]:
    file = Path(str(cryptography_vectors.__file__)).parent.joinpath(*path)
    blocks: list[dict[str, str]] = []
    for line in file.read_text().splitlines():
        key, separator, value = line.partition("=")
        if not separator or line.startswith("#"):
            continue
        if key.strip().upper() in ("COUNT", "LEN"):
            blocks.append({})
        blocks[-1][key.strip().upper()] = value.strip()
    return blocks


def test_rfc5869_hkdf() -> None:
    blocks = _blocks("KDF", "rfc-5869-HKDF-SHA256.txt")
    assert len(blocks) == 3
    for block in blocks:
        okm = HKDF(
            algorithm=SHA256(),
            length=int(block["L"]),
            salt=bytes.fromhex(block.get("SALT", "")) or None,
            info=bytes.fromhex(block.get("INFO", "")),
        ).derive(bytes.fromhex(block["IKM"]))
        assert okm == bytes.fromhex(block["OKM"])


def test_derive_is_rfc5869_hkdf() -> None:
    root = bytes(range(32))
    prk = hmac.digest(b"harmonia", root, "sha256")
    first = hmac.digest(prk, b"purpose\x01", "sha256")
    second = hmac.digest(prk, first + b"purpose\x02", "sha256")
    assert derive(root, "purpose", 64) == first + second


def test_rfc4231_hmac() -> None:
    blocks = _blocks("HMAC", "rfc-4231-sha256.txt")
    assert len(blocks) >= 6
    for block in blocks:
        tag = hmac.digest(bytes.fromhex(block["KEY"]), bytes.fromhex(block["MSG"]), "sha256")
        expected = bytes.fromhex(block["MD"])
        assert tag[: len(expected)] == expected


def test_every_bit_flip_and_every_truncation_is_refused() -> None:
    handle = DataKey(os.urandom(64)).handle(CONTEXT)
    envelope = handle.seal(b"sk_live_0123456789", 7)
    assert handle.open(envelope, 7) == b"sk_live_0123456789"
    assert len(envelope) == 18 + OVERHEAD
    refused = 0
    for position in range(len(envelope) * 8):
        altered = bytearray(envelope)
        altered[position // 8] ^= 1 << (position % 8)
        with pytest.raises(SecretError):
            handle.open(bytes(altered), 7)
        refused += 1
    assert refused == len(envelope) * 8
    for length in range(len(envelope)):
        with pytest.raises(SecretError):
            handle.open(envelope[:length], 7)
    for extra in (b"\0", b"\x01", envelope):
        with pytest.raises(SecretError):
            handle.open(envelope + extra, 7)


def test_errors_name_what_is_wrong() -> None:
    handle = DataKey(os.urandom(64)).handle(CONTEXT)
    envelope = handle.seal(b"value", 1)
    with pytest.raises(UnknownKey) as other_key:
        DataKey(os.urandom(64)).handle(CONTEXT).open(envelope, 1)
    assert other_key.value.key_id == envelope[4:36].hex()[:16]
    with pytest.raises(UnsupportedEnvelope):
        handle.open(b"HS\x02\x01" + envelope[4:], 1)
    with pytest.raises(UnsupportedEnvelope):
        handle.open(b"HS\x01\x02" + envelope[4:], 1)
    with pytest.raises(MalformedEnvelope):
        handle.open(b"PK" + envelope[2:], 1)
    with pytest.raises(MalformedEnvelope):
        handle.open(b"", 1)
    with pytest.raises(DecryptFailed) as altered:
        handle.open(envelope[:-1] + bytes([envelope[-1] ^ 1]), 1)
    # The cryptographic cause would carry locals into error trackers.
    assert altered.value.__cause__ is None and altered.value.__suppress_context__


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1024, MAX_PLAINTEXT])
def test_sizes(size: int) -> None:
    handle = DataKey(os.urandom(64)).handle(CONTEXT)
    value = os.urandom(size)
    assert handle.open(handle.seal(value, 1), 1) == value


@pytest.mark.parametrize("size", [MAX_PLAINTEXT + 1, 1 << 20])
def test_too_large_is_refused_with_the_limit(size: int) -> None:
    handle = DataKey(os.urandom(64)).handle(CONTEXT)
    with pytest.raises(InvalidSecret, match=str(MAX_PLAINTEXT)):
        handle.seal(bytes(size), 1)


def test_swap_matrix() -> None:
    """Every part of the context counts: a ciphertext moved anywhere does not open."""
    key = DataKey(os.urandom(64))
    sealed = key.handle(CONTEXT).seal(b"value", 3)
    moved = [
        SecretContext(uuid4(), CONTEXT.secret_id, CONTEXT.name, CONTEXT.audience),
        SecretContext(CONTEXT.organization_id, uuid4(), CONTEXT.name, CONTEXT.audience),
        SecretContext(CONTEXT.organization_id, CONTEXT.secret_id, "other", CONTEXT.audience),
        SecretContext(CONTEXT.organization_id, CONTEXT.secret_id, CONTEXT.name, "evil.example"),
        SecretContext(
            CONTEXT.organization_id,
            CONTEXT.secret_id,
            CONTEXT.name,
            CONTEXT.audience,
            WEBHOOK_DOMAIN,
        ),
    ]
    for context in moved:
        with pytest.raises(DecryptFailed):
            key.handle(context).open(sealed, 3)
    for version in (0, 2, 4, 2**64 - 1):
        with pytest.raises(DecryptFailed):
            key.handle(CONTEXT).open(sealed, version)
    assert key.handle(CONTEXT).open(sealed, 3) == b"value"


# Two keys, one ciphertext ---------------------------------------------------------------------


def _multiply(x: int, y: int) -> int:
    """Multiply in GF(2^128) as GHASH does (SP 800-38D, 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return product


def _inverse(x: int) -> int:
    result, power = 1 << 127, x
    for _ in range(127):  # x^(2^128 - 2)
        power = _multiply(power, power)
        result = _multiply(result, power)
    return result


def _block(key: bytes, block: bytes) -> int:
    # GCM with an all-zero nonce exposes E(counter); ECB is what it is built from.
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return int.from_bytes(encryptor.update(block))


def _two_key_ciphertext(first: bytes, second: bytes, nonce: bytes) -> bytes:
    """Return ciphertext and tag that AES-256-GCM accepts under both keys (no AAD)."""
    lengths = 32 * 8  # two blocks of ciphertext
    start = os.urandom(16)

    def tag_without_last(key: bytes) -> tuple[int, int]:
        h = _block(key, bytes(16))
        mask = _block(key, nonce + struct.pack(">I", 1))
        h2 = _multiply(h, h)
        h3 = _multiply(h2, h)
        partial = _multiply(int.from_bytes(start), h3) ^ _multiply(lengths, h) ^ mask
        return partial, h2

    one, one_h2 = tag_without_last(first)
    two, two_h2 = tag_without_last(second)
    last = _multiply(one ^ two, _inverse(one_h2 ^ two_h2))
    tag = one ^ _multiply(last, one_h2)
    return start + last.to_bytes(16) + tag.to_bytes(16)


def test_a_ciphertext_for_two_keys_is_refused() -> None:
    first, second = os.urandom(64), os.urandom(64)
    nonce = os.urandom(12)
    handles = [DataKey(material).handle(CONTEXT) for material in (first, second)]
    sealed = _two_key_ciphertext(first[:32], second[:32], nonce)
    # The attack is real: bare AES-GCM opens it under both keys, to different texts.
    opened = {AESGCM(key[:32]).decrypt(nonce, sealed, b"") for key in (first, second)}
    assert len(opened) == 2
    for material in (first, second):
        envelope = b"HS\x01\x01" + material[32:] + nonce + sealed
        results = []
        for handle in handles:
            with pytest.raises(SecretError) as refused:
                handle.open(envelope, 1)
            results.append(type(refused.value))
        # One key is named by the envelope, so the other one can never be used with it.
        assert UnknownKey in results


# The encoding of the context ------------------------------------------------------------------

_TEXT = st.text(max_size=40)
_CONTEXTS = st.builds(
    SecretContext,
    st.uuids(),
    st.uuids(),
    _TEXT,
    _TEXT,
    st.sampled_from([b"harmonia.secret.v1\0", b"harmonia.webhook.v1\0"]),
)
_VERSIONS = st.integers(0, 2**64 - 1)


def _parse(data: bytes) -> tuple[bytes, bytes, bytes, str, str, int]:
    """Read an encoded context back: possible for all of them, so no two can be equal."""
    end = data.index(b"\0") + 1
    domain, rest = data[:end], data[end:]
    organization, secret, rest = rest[:16], rest[16:32], rest[32:]
    texts = []
    for _ in range(2):
        size = int.from_bytes(rest[:4])
        texts.append(rest[4 : 4 + size].decode())
        rest = rest[4 + size :]
    assert len(rest) == 8
    return domain, organization, secret, texts[0], texts[1], int.from_bytes(rest)


@given(context=_CONTEXTS, version=_VERSIONS)
def test_the_encoding_can_be_read_back(context: SecretContext, version: int) -> None:
    import unicodedata

    assert _parse(context.encode(version)) == (
        context.domain,
        context.organization_id.bytes,
        context.secret_id.bytes,
        unicodedata.normalize("NFC", context.name),
        unicodedata.normalize("NFC", context.audience),
        version,
    )


@given(text=st.text(max_size=30), cut=st.integers(0, 30), other=st.integers(0, 30))
def test_moving_bytes_between_name_and_audience_changes_the_encoding(
    text: str, cut: int, other: int
) -> None:
    def at(place: int) -> SecretContext:
        return SecretContext(CONTEXT.organization_id, CONTEXT.secret_id, text[:place], text[place:])

    same = (text[:cut], text[cut:]) == (text[:other], text[other:])
    assert (at(cut).encode(1) == at(other).encode(1)) is same or not text.isascii()


@given(value=st.binary(max_size=2048), version=_VERSIONS)
@settings(max_examples=50)
def test_round_trip(value: bytes, version: int) -> None:
    handle = DataKey(hashlib.sha512(b"key").digest()).handle(CONTEXT)
    assert handle.open(handle.seal(value, version), version) == value


@given(junk=st.binary(max_size=200), start=st.sampled_from([b"", b"HS", b"HS\x01\x01"]))
def test_junk_raises_only_our_errors(junk: bytes, start: bytes) -> None:
    with pytest.raises(SecretError):
        DataKey(bytes(range(64))).handle(CONTEXT).open(start + junk, 1)
