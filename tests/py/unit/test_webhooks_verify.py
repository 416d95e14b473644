"""Webhook verification: vendors' vectors, malformed input of every kind, a differential fuzz."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
import standardwebhooks.webhooks as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia_py.errors import InvalidSecret, UsageError, WebhookRejected
from harmonia_py.secrets import Secret
from harmonia_py.webhooks import SCHEMES, generate_secret, generic, scheme_of, sign, verify

SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
TWILIO_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = "application/x-www-form-urlencoded"
NOW = 1_700_000_000
KEY = b"whsec_" + base64.b64encode(bytes(range(32)))

# The constants the vendors publish: scheme, secret, body, headers, url, time.
VECTORS: list[tuple[str, bytes, bytes, dict[str, str], str, float]] = [
    (
        "standard",
        b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        b'{"test": 2432232314}',
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        "",
        1614265330,
    ),
    (
        "standard",
        b"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        b'{"email":"test@example.com","username":"test_user"}',
        {
            "webhook-id": "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "webhook-timestamp": "1649367553",
            "webhook-signature": "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        },
        "",
        1649367553,
    ),
    (
        "github",
        b"It's a Secret to Everybody",
        b"Hello, World!",
        {
            "X-Hub-Signature-256": "sha256="
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        },
        "",
        NOW,
    ),
    (
        "github",
        b"mysecret",
        b'{"foo":"bar"}',
        {
            "X-Hub-Signature-256": "sha256="
            "4864d2759938a15468b5df9ade20bf161da9b4f737ea61794142f3484236bda3"
        },
        "",
        NOW,
    ),
    (
        "slack",
        b"8f742231b10e8888abcd99yyyzzz85a5",
        SLACK_BODY,
        {
            "X-Slack-Request-Timestamp": "1531420618",
            "X-Slack-Signature": "v0="
            "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        "",
        1531420618,
    ),
    (
        "hubspot",
        b"yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",
        b"{'example_field':'example_value'}",
        {
            "X-HubSpot-Request-Timestamp": "1693657560000",
            "X-HubSpot-Signature-v3": "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=",
        },
        "https://www.example.com/webhook_uri",
        1693657560,
    ),
    (
        "twilio",
        b"12345",
        b"CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212"
        b"&Caller=%2B14158675309",
        {"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "Content-Type": FORM},
        TWILIO_URL,
        NOW,
    ),
]
_IDS = [f"{vector[0]}-{place}" for place, vector in enumerate(VECTORS)]


@pytest.mark.parametrize("vector", VECTORS, ids=_IDS)
def test_published_vectors(vector: tuple[str, bytes, bytes, dict[str, str], str, float]) -> None:
    scheme, secret, body, headers, url, now = vector
    done = verify(scheme, body, headers, [secret], url=url, now=now)
    assert done.scheme == scheme and done.secret == 0
    # Raw ASGI headers, and a newer secret in front of the one the sender still uses.
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    newer = KEY if scheme == "standard" else b"newer"
    assert verify(scheme, body, raw, [newer, secret], url=url, now=now).secret == 1
    for changed in (body + b" ", body[:-1], b""):
        with pytest.raises(WebhookRejected):
            verify(scheme, changed, headers, [secret], url=url, now=now)
    with pytest.raises(WebhookRejected):
        verify(scheme, body, headers, [newer], url=url, now=now)


@pytest.mark.parametrize("vector", VECTORS, ids=_IDS)
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        ",",
        "v1,",
        "v1,*",
        "v1",
        "sha256=",
        "sha256=zz",
        "v0=",
        "=",
        "\x00",
        "é" * 44,
        "A" * 10_000,
        "v1," * 1000,
        "A" * 44,
        "0" * 64,
        "t=1,t=1,v1=00",
        "sha256=" + "é" * 64,
        "v0=" + "٣" * 64,
    ],
)
def test_malformed_headers_are_refused(
    vector: tuple[str, bytes, bytes, dict[str, str], str, float], value: str
) -> None:
    scheme, secret, body, headers, url, now = vector
    for name in headers:
        if name == "Content-Type":
            continue
        with pytest.raises(WebhookRejected):
            verify(scheme, body, {**headers, name: value}, [secret], url=url, now=now)
        without = {key: text for key, text in headers.items() if key != name}
        with pytest.raises(WebhookRejected, match="missing_header"):
            verify(scheme, body, without, [secret], url=url, now=now)
        raw = [(key.encode(), text.encode()) for key, text in headers.items()]
        with pytest.raises(WebhookRejected, match="malformed_header"):
            twice = [*raw, (name.lower().encode(), headers[name].encode())]
            verify(scheme, body, twice, [secret], url=url, now=now)


@pytest.mark.parametrize("vector", [v for v in VECTORS if v[0] in ("standard", "slack", "hubspot")])
def test_tolerance_in_both_directions(
    vector: tuple[str, bytes, bytes, dict[str, str], str, float],
) -> None:
    scheme, secret, body, headers, url, now = vector
    for shift in (-300, 0, 300):
        verify(scheme, body, headers, [secret], url=url, now=now + shift)
    with pytest.raises(WebhookRejected, match="timestamp_too_old"):
        verify(scheme, body, headers, [secret], url=url, now=now + 301)
    with pytest.raises(WebhookRejected, match="timestamp_in_the_future"):
        verify(scheme, body, headers, [secret], url=url, now=now - 301)


@pytest.mark.parametrize(
    "stamp",
    ["1_7e9", "1700000000.9", "1e9", "-1", "+1700000000", " 1700000000", "٣", "nan", "0x1", "017"],
)
def test_timestamps_are_plain_digits(stamp: str) -> None:
    text = f"msg.{stamp}.".encode() + b"{}"
    tag = base64.b64encode(hmac.digest(bytes(range(32)), text, "sha256")).decode()
    headers = {"webhook-id": "msg", "webhook-timestamp": stamp, "webhook-signature": f"v1,{tag}"}
    with pytest.raises(WebhookRejected):
        verify("standard", b"{}", headers, [KEY], now=NOW)


def _signed(body: bytes = b"{}", **changes: Any) -> dict[str, str]:
    return sign(body, [Secret(KEY)], event_id="msg_1", timestamp=NOW) | changes


def test_standard_details() -> None:
    good = _signed()
    assert verify("standard", b"{}", good, [KEY], now=NOW).dedupe_key == "id:msg_1"
    assert verify("standard", b"{}", good, [KEY], now=NOW).event_id == "msg_1"
    svix = {name.replace("webhook-", "svix-"): value for name, value in good.items()}
    assert verify("standard", b"{}", svix, [KEY], now=NOW).event_id == "msg_1"
    signature = good["webhook-signature"]
    # A damaged or foreign entry does not hide the good one.
    for entries in (
        f"v1,*** {signature}",
        f"v1a,abcd {signature}",
        f"{signature} v2,x",
        f" {signature}",
    ):
        verify("standard", b"{}", {**good, "webhook-signature": entries}, [KEY], now=NOW)
    with pytest.raises(WebhookRejected, match="no_known_signature"):
        verify("standard", b"{}", {**good, "webhook-signature": "v1a,abcd"}, [KEY], now=NOW)
    with pytest.raises(WebhookRejected, match="too_many_signatures"):
        many = " ".join([signature] * 17)
        verify("standard", b"{}", {**good, "webhook-signature": many}, [KEY], now=NOW)


def test_bytes_cannot_move_between_id_timestamp_and_body() -> None:
    good = sign(b"1700000000.x", [Secret(KEY)], event_id="msg", timestamp=NOW)
    shifted = {**good, "webhook-id": f"msg.{NOW}", "webhook-timestamp": "1700000000"}
    with pytest.raises(WebhookRejected, match="malformed_id"):
        verify("standard", b"x", shifted, [KEY], now=NOW)


@pytest.mark.parametrize("secret", [b"whsec_AA==", b"whsec_*", b"", b"whsec_" + b"A" * 400])
def test_unusable_secrets(secret: bytes) -> None:
    with pytest.raises(WebhookRejected, match="unusable_secret"):
        verify("standard", b"{}", _signed(), [secret], now=NOW)


def test_stripe() -> None:
    def header(stamp: object, *tags: str) -> dict[str, str]:
        return {"Stripe-Signature": f"t={stamp}," + ",".join(f"v1={tag}" for tag in tags)}

    tag = hmac.digest(b"whsec_x", f"{NOW}.".encode() + b"{}", "sha256").hex()
    assert verify("stripe", b"{}", header(NOW, tag), [b"whsec_x"], now=NOW).timestamp == NOW
    verify("stripe", b"{}", header(NOW, "0" * 64, tag), [b"old", b"whsec_x"], now=NOW)
    future = hmac.digest(b"whsec_x", f"{NOW + 301}.".encode() + b"{}", "sha256").hex()
    with pytest.raises(WebhookRejected, match="timestamp_in_the_future"):
        verify("stripe", b"{}", header(NOW + 301, future), [b"whsec_x"], now=NOW)
    for bad in (
        header(NOW),
        header(f"{NOW},t={NOW}", tag),
        header("x", tag),
        header(NOW, "0" * 64),
    ):
        with pytest.raises(WebhookRejected):
            verify("stripe", b"{}", bad, [b"whsec_x"], now=NOW)


def test_twilio_body_must_be_bound() -> None:
    def tag(url: str) -> str:
        return base64.b64encode(hmac.digest(b"12345", url.encode(), "sha1")).decode()

    body = b'{"property": "value", "boolean": true}'
    bound = f"{TWILIO_URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    # Twilio's own published signature of this URL.
    assert tag(bound) == "a9nBmqA0ju/hNViExpshrM61xv4="
    headers = {"X-Twilio-Signature": tag(bound), "Content-Type": "application/json"}
    verify("twilio", body, headers, [b"12345"], url=bound)
    with pytest.raises(WebhookRejected, match="body_mismatch"):
        verify("twilio", body + b" ", headers, [b"12345"], url=bound)
    loose = {"X-Twilio-Signature": tag(TWILIO_URL), "Content-Type": "application/json"}
    with pytest.raises(WebhookRejected, match="body_not_bound"):
        verify("twilio", body, loose, [b"12345"], url=TWILIO_URL)
    verify("twilio", b"", loose, [b"12345"], url=TWILIO_URL)
    form = b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234"
    twice = {"X-Twilio-Signature": "IK+Dwps556ElfBT0I3Rgjkr1wJU=", "Content-Type": FORM}
    verify("twilio", form, twice, [b"12345"], url=TWILIO_URL)
    for bad in (b"\xff=1", b"a=%FF", b"&".join([b"a=1"] * 501), b"plain"):
        with pytest.raises(WebhookRejected):
            verify("twilio", bad, twice, [b"12345"], url=TWILIO_URL)


def test_a_table_entry_for_another_sender() -> None:
    tag = hmac.digest(b"secret", b"body", "sha256")
    scheme = generic("X-Signature", prefix="sig=", encoding="base64")
    headers = {"x-signature": "sig=" + base64.b64encode(tag).decode()}
    assert verify(scheme, b"body", headers, [b"secret"]).scheme == "generic"
    timed = scheme_of("generic", {"header": "X-Sig", "timestamp_header": "X-Time"})
    tag = hmac.digest(b"secret", f"{NOW}.body".encode(), "sha256")
    verify(timed, b"body", {"X-Sig": tag.hex(), "X-Time": str(NOW)}, [b"secret"], now=NOW)
    with pytest.raises(UsageError):
        scheme_of("generic", {})
    with pytest.raises(UsageError):
        scheme_of("unknown")
    with pytest.raises(UsageError):
        generic("X", encoding="octal")


def test_the_body_is_raw_bytes() -> None:
    with pytest.raises(TypeError):
        verify("standard", "{}", _signed(), [KEY])  # type: ignore[arg-type]


def test_sign() -> None:
    two = [generate_secret(), Secret(KEY)]
    headers = sign(b"payload", two, timestamp=NOW)
    for secret in two:
        verify("standard", b"payload", headers, [secret.reveal()], now=NOW)
    reference.Webhook(KEY.decode())  # the peer accepts our secrets
    with pytest.raises(InvalidSecret):
        sign(b"", [])
    with pytest.raises(InvalidSecret):
        sign(b"", two, event_id="a.b")
    with pytest.raises(InvalidSecret):
        sign(b"", [Secret("whsec_short")])


# The parser never raises anything else, and never accepts what the peer refuses ------------------

_HEADER_NAMES = st.sampled_from(
    [
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "svix-signature",
        "stripe-signature",
        "x-hub-signature-256",
        "x-slack-signature",
        "x-slack-request-timestamp",
        "x-hubspot-signature-v3",
        "x-hubspot-request-timestamp",
        "x-twilio-signature",
        "content-type",
        "x-shopify-hmac-sha256",
        "linear-signature",
    ]
)
_HEADER_VALUES = st.one_of(
    st.text(max_size=80),
    st.sampled_from([str(NOW), f"{NOW}000", FORM, "v1,", "sha256=", "v0=", "t=1,v1=0"]),
    st.from_regex(r"(v1,|sha256=|v0=|t=[0-9]{1,12},v1=)?[A-Za-z0-9+/=]{0,70}", fullmatch=True),
)


@given(
    scheme=st.sampled_from(sorted(SCHEMES)),
    body=st.binary(max_size=60),
    headers=st.dictionaries(_HEADER_NAMES, _HEADER_VALUES, max_size=8),
    url=st.text(max_size=40),
    secret=st.binary(min_size=1, max_size=70),
)
@settings(max_examples=400, deadline=None)
def test_only_our_exception(
    scheme: str, body: bytes, headers: dict[str, str], url: str, secret: bytes
) -> None:
    with pytest.raises(WebhookRejected) as refused:
        verify(scheme, body, headers, [secret], url=url, now=NOW)
    assert refused.value.reason.replace("_", "").isalpha()


@given(raw=st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=60)), max_size=6))
@settings(max_examples=100, deadline=None)
def test_only_our_exception_for_raw_headers(raw: list[tuple[bytes, bytes]]) -> None:
    named = [
        (name if place else b"webhook-signature", value) for place, (name, value) in enumerate(raw)
    ]
    with pytest.raises(WebhookRejected):
        verify("standard", b"", named, [KEY], now=NOW)


_MUTATIONS = st.sampled_from(
    ["", " ", "v1,AAAA ", "v1a,x ", "v2,x,y ", ",", "v1", "  ", "v1,é ", "\t"]
)


@given(
    body=st.binary(max_size=40).filter(lambda b: _utf8(b)),
    event_id=st.text(
        st.characters(codec="ascii", exclude_characters="\n\r"), min_size=1, max_size=12
    ),
    shift=st.integers(-400, 400),
    before=_MUTATIONS,
    after=_MUTATIONS,
    flip=st.integers(0, 400),
)
@settings(max_examples=300, deadline=None)
def test_never_accepts_what_the_reference_refuses(
    body: bytes, event_id: str, shift: int, before: str, after: str, flip: int
) -> None:
    stamp = NOW + shift
    tag = hmac.digest(bytes(range(32)), f"{event_id}.{stamp}.".encode() + body, "sha256")
    text = base64.b64encode(tag).decode()
    if flip < len(text):
        text = text[:flip] + ("A" if text[flip] != "A" else "B") + text[flip + 1 :]
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": f"{before}v1,{text}{after}",
    }
    try:
        verify("standard", body, headers, [KEY], now=NOW)
    except WebhookRejected:
        return
    clock = mock.Mock(wraps=datetime)
    clock.now.return_value = datetime.fromtimestamp(NOW, UTC)
    with mock.patch.object(reference, "datetime", clock):
        try:
            reference.Webhook(KEY.decode()).verify(body, headers, json_parse=False)
        except ValueError:
            # Not a refusal: the reference crashes on a damaged entry beside a good one.
            assert before or after


def _utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
