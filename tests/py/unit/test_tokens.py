"""Development tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from harmonia_py import tokens
from harmonia_py.errors import UsageError


def test_the_signature_of_rfc_7515_appendix_a1_is_reproduced() -> None:
    # The RFC's example has its own white space, so the primitive is compared on its bytes.
    key = base64.urlsafe_b64decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    )
    signed = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
        "cnVlfQ"
    )
    mac = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    expected = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert base64.urlsafe_b64encode(mac).rstrip(b"=").decode() == expected


def test_claims_are_those_of_supabase_auth() -> None:
    claims = tokens.user_claims("e0", "a@x.example", aal="aal2", organization_id="o", lifetime=60)
    assert claims["role"] == claims["aud"] == "authenticated"
    assert claims["amr"][0]["method"] == "totp"
    assert claims["exp"] - claims["iat"] == 60
    assert claims["active_organization_id"] == "o"
    head, body, signature = tokens.sign(claims, "s" * 32).split(".")
    padded = body + "=" * (-len(body) % 4)
    assert json.loads(base64.urlsafe_b64decode(padded)) == claims
    assert "=" not in head + body + signature


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(UsageError):
        tokens.sign({}, "s" * 31)
    assert len(tokens.new_secret()) >= 32
