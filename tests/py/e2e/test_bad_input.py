"""What an attacker or a broken page may send: always a 4xx in one shape, never another tenant."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx
import pytest
from fix_api import ALDER, BIRCH, MIKA, OLGA, OTTO, SECRET, Api

from harmonia_py import tokens

EVE = tokens.user_claims(OTTO.id, OTTO.email)


def foreign_words(api: Api) -> list[str]:
    """Return values that only Alder's rows have, to look for in what Otto of Birch receives."""
    found: dict[str, set[str]] = {}
    with api.database.connect() as conn:
        for organization in (ALDER, BIRCH):
            rows = conn.execute(
                "select id::text, full_name, email from public.contacts where organization_id = %s"
                " union all select id::text, name, domain from public.companies"
                " where organization_id = %s",
                [organization, organization],
            ).fetchall()
            found[organization] = {v for row in rows for v in row if v and len(v) > 5}
    # The seed gives both the same customer on purpose.
    words = found[ALDER] - found[BIRCH]
    assert len(words) > 5
    return sorted(words)


def assert_refused(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)
    body = answer.json()
    assert set(body) == {"code", "message", "details", "hint"}, body
    assert body["code"], body


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(head: dict[str, Any], claims: dict[str, Any], secret: str = SECRET) -> str:
    text = f"{part(head)}.{part(claims)}"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


HEAD = {"alg": "HS256", "typ": "JWT"}
BAD_TOKENS = {
    "expired": signed(HEAD, {**EVE, "exp": int(time.time()) - 3600}),
    "not yet": signed(HEAD, {**EVE, "nbf": int(time.time()) + 3600}),
    "unsigned": f"{part(HEAD)}.{part(EVE)}.",
    "alg none": f"{part({'alg': 'none'})}.{part(EVE)}.",
    "alg None": f"{part({'alg': 'None'})}.{part(EVE)}.",
    "other algorithm": signed({"alg": "HS512"}, EVE),
    "other secret": signed(HEAD, EVE, "x" * 40),
    "role postgres": signed(HEAD, {**EVE, "role": "postgres"}),
    "role supabase_admin": signed(HEAD, {**EVE, "role": "supabase_admin"}),
    "role harmonia_vault": signed(HEAD, {**EVE, "role": "harmonia_vault"}),
    "role injection": signed(HEAD, {**EVE, "role": "authenticated; reset role"}),
    "role none": signed(HEAD, {**EVE, "role": "none"}),
    "sub not a uuid": signed(HEAD, {**EVE, "sub": "1 or 1=1"}),
    "sub a number": signed(HEAD, {**EVE, "sub": 7}),
    "sub a list": signed(HEAD, {**EVE, "sub": [OLGA.id]}),
    "sub unknown": signed(HEAD, {**EVE, "sub": "00000000-0000-4000-8000-000000000000"}),
    "role a list": signed(HEAD, {**EVE, "role": ["service_role"]}),
    "role an object": signed(HEAD, {**EVE, "role": {"a": 1}}),
    "role empty": signed(HEAD, {**EVE, "role": ""}),
    "role in quotes": signed(HEAD, {**EVE, "role": '"service_role"'}),
    "sub empty": signed(HEAD, {**EVE, "sub": ""}),
    "sub a nul": signed(HEAD, {**EVE, "sub": "a\0b"}),
    "sub true": signed(HEAD, {**EVE, "sub": True}),
    "expiry a text": signed(HEAD, {**EVE, "exp": "tomorrow"}),
    "expiry an object": signed(HEAD, {**EVE, "exp": {}}),
    "expiry long ago": signed(HEAD, {**EVE, "exp": -1}),
    "expiry not a number": signed(HEAD, {**EVE, "exp": "NaN"}),
    "critical header": signed({**HEAD, "crit": ["b64"], "b64": False}, EVE),
    "algorithm in lower case": signed({"alg": "hs256"}, EVE),
    "signature cut": signed(HEAD, EVE)[:-2],
    "payload changed": ".".join([part(HEAD), part({**EVE, "sub": OLGA.id}), "AAAA"]),
    "four parts": signed(HEAD, EVE) + ".x",
    "fifteen kilobytes": "a" * 15_000,
    "claims a list": signed(HEAD, [EVE]),  # type: ignore[arg-type]
    "garbage": "abc",
    "three dots": "...",
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_opens_nothing(api: Api, name: str) -> None:
    headers = {"authorization": f"Bearer {BAD_TOKENS[name]}"}
    answer = httpx.get(f"{api.url}/contacts", headers=headers)
    assert_refused(answer)


@pytest.mark.parametrize(
    "claims",
    [
        {"aal": ["aal2"]},
        {"aal": 2},
        {"is_anonymous": "no"},
        {"is_anonymous": {}},
        {"app_metadata": {"organization_id": ALDER, "role": "owner"}},
        {"user_metadata": {"organization_id": ALDER, "role": "owner"}},
        {"active_organization_id": ALDER},
        {"active_organization_id": ["x"]},
        {"api_key_id": "not-a-uuid"},
        {"session_id": 1},
        {"amr": "x"},
    ],
)
def test_odd_claims_never_widen_what_one_sees(api: Api, claims: dict[str, Any]) -> None:
    words = foreign_words(api)
    with api.client(OTTO, **claims) as client:
        answer = client.get("/contacts")
    if answer.status_code != 200:
        assert_refused(answer)
    assert not [word for word in words if word in answer.text]


def test_an_issuer_outside_the_list_is_refused(api: Api) -> None:
    with api.database.connect(autocommit=True) as conn:
        conn.execute("update private.request_settings set allowed_issuers = %s", [["harmonia-dev"]])
        with api.client(OLGA) as right, api.client(OLGA, iss="https://evil.example") as wrong:
            assert right.get("/contacts").status_code == 200
            refused = wrong.get("/contacts")
            assert refused.status_code == 401
            assert refused.json()["details"] == "token.issuer"


DEEP = "[" * 6000 + "]" * 6000
BAD_BODIES: dict[str, Any] = {
    "no organization": {"first_name": "x"},
    "unknown organization": {"organization_id": "00000000-0000-7000-8000-000000000000"},
    "foreign organization": {"organization_id": BIRCH, "first_name": "x"},
    "malformed uuid": {"organization_id": "1", "first_name": "x"},
    "no such column": {"organization_id": ALDER, "is_admin": True},
    "a column clients may not write": {
        "organization_id": ALDER,
        "first_name": "x",
        "created_by": OTTO.id,
    },
    "nul": {"organization_id": ALDER, "first_name": "a\0b"},
    "blank": {"organization_id": ALDER, "first_name": "  "},
    "too long": {"organization_id": ALDER, "first_name": "x" * 101},
    "email": {"organization_id": ALDER, "email": "nobody"},
    "email upper case": {"organization_id": ALDER, "email": "A@X.EXAMPLE"},
    "email two lines": {"organization_id": ALDER, "email": "a@x.example\nb"},
    "phone": {"organization_id": ALDER, "phone": "0049 30 1"},
    "country": {"organization_id": ALDER, "first_name": "x", "country": "Germany"},
    "javascript url": {
        "organization_id": ALDER,
        "first_name": "x",
        "website_url": "javascript:alert(1)",
    },
    "status": {"organization_id": ALDER, "first_name": "x", "status": "boss"},
    "custom fields a list": {"organization_id": ALDER, "first_name": "x", "custom_fields": []},
    "number for text": {"organization_id": [1], "first_name": "x"},
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_refused_in_one_shape(api: Api, name: str) -> None:
    with api.client(OLGA) as client:
        assert_refused(client.post("/contacts", json=BAD_BODIES[name]))


@pytest.mark.parametrize("table", ["organizations", "user_settings"])
def test_a_time_zone_has_the_form_of_one(api: Api, table: str) -> None:
    with api.client(OLGA) as client:
        client.post("/user_settings", json={"user_id": OLGA.id})
        for zone in ("", " UTC", "UTC\n", "<x>5", "../etc", "Europe//Berlin", "+05", "A" * 65):
            assert_refused(client.patch(f"/{table}", json={"time_zone": zone}))
        for zone in (
            "UTC",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+5",
            "America/Port-au-Prince",
        ):
            patched = client.patch(
                f"/{table}?select=time_zone",
                json={"time_zone": zone},
                headers={"prefer": "return=representation"},
            )
            assert patched.json() == [{"time_zone": zone}], patched.text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'"\\ud800"',
        b'{"organization_id": "\\ud800"}',
        DEEP.encode(),
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b"x" * 900_000,
    ],
)
def test_bytes_that_are_no_record_are_refused(api: Api, content: bytes) -> None:
    with api.client(OLGA) as client:
        answer = client.post(
            "/contacts", content=content, headers={"content-type": "application/json"}
        )
        assert_refused(answer)
        assert client.get("/contacts?limit=1").status_code == 200


TEXTS = [
    "'; drop table public.contacts; --",
    '" or 1=1 --',
    "$$; select 1; $$",
    "%s %(x)s {0} ${x}",
    "\u202eelbaT",
    "а\u0430pple",  # Cyrillic letters that look Latin
    "a\u0301" * 40,
    "\U0001f469\u200d\U0001f680",
    "NULL",
    "\\x00",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_text(api: Api, text: str) -> None:
    """Whatever it looks like, it is stored as it is and found as it is."""
    with api.client(OLGA) as client:
        made = client.post(
            "/contacts?select=first_name",
            json={"organization_id": ALDER, "first_name": text},
            headers={"prefer": "return=representation"},
        )
        assert made.status_code == 201, made.text
        assert made.json() == [{"first_name": text}]
        found = client.get(
            "/contacts",
            params={
                "first_name": 'eq."' + text.replace("\\", "\\\\").replace('"', '\\"') + '"',
                "select": "first_name",
            },
        )
        # Outside a list PostgREST takes quotes literally, so both spellings are tried.
        plain = client.get("/contacts", params={"first_name": f"eq.{text}", "select": "first_name"})
        assert {found.status_code, plain.status_code} == {200}
        assert plain.json() == [{"first_name": text}]


TRICKS = [
    f"/contacts?organization_id=eq.{ALDER}",
    f"/contacts?or=(organization_id.eq.{ALDER},id.not.is.null)",
    f"/contacts?and=(organization_id.eq.{ALDER},or(id.not.is.null,id.is.null))",
    f"/contacts?not.and=(organization_id.eq.{BIRCH})",
    "/contacts?select=*,companies!contacts_company_fkey(*),deal_contacts(*,deals(*))",
    "/companies?select=*,contacts(*,activities(*)),deals(*,deal_stage_history(*))",
    "/organizations?select=*,contacts(*),memberships(*)",
    "/organizations?select=*,contacts!contacts_organization_id_fkey!inner(*)",
    "/contacts?select=count()",
    "/contacts?select=email::text,owner_id::text",
    "/contacts?select=organization_id,x:full_name",
    "/contacts?order=email.desc,organization_id.asc&limit=1000000&offset=0",
    "/contacts?email=like.*&full_name=ilike.*a*",
    "/contacts?full_name=fts.alder",
    "/contacts?custom_fields->>x=eq.1",
    "/contacts?select=custom_fields->x->y",
    "/memberships",
    "/profiles",
    "/api_keys",
    "/api_key_permissions",
    "/invitations",
    "/user_settings",
    "/rpc/my_permissions?organization_id=" + ALDER,
]


@pytest.mark.parametrize("path", TRICKS)
def test_no_filter_or_embedding_reaches_another_tenant(api: Api, path: str) -> None:
    words = foreign_words(api)
    with api.client(OTTO) as client:
        for prefer in ("count=exact", "count=planned", "count=estimated", ""):
            answer = client.get(path, headers={"prefer": prefer} if prefer else {})
            assert answer.status_code < 500, answer.text
            if answer.status_code >= 400:
                assert_refused(answer)
            elif path.startswith("/rpc"):
                assert answer.json() == []
            assert not [word for word in words if word in answer.text], path
            assert ALDER not in answer.text or f"eq.{ALDER}" in path or "/rpc" in path


def test_a_planners_estimate_is_refused_because_it_tells_of_other_tenants(api: Api) -> None:
    path = f"/contacts?organization_id=eq.{ALDER}"
    other = ("prefer", "return=minimal")
    estimate = ("prefer", "count=planned")
    with api.client(OTTO) as client:
        # PostgREST obeys every Prefer header, and shows the guard in front only the last.
        for headers in (
            [estimate],
            [estimate, other],
            [other, estimate],
            [estimate, ("prefer", "count=exact")],
            [("prefer", "return=minimal, count=planned")],
        ):
            for method in ("GET", "HEAD"):
                answer = client.request(method, path, headers=headers)
                assert answer.status_code == 400, (headers, answer.headers)
                assert "content-range" not in answer.headers
            assert client.get(path, headers=headers).json()["details"] == "request.count"
        embedding = "/organizations?select=id,contacts!contacts_organization_id_fkey(id)"
        embedded = client.get(embedding, headers=[estimate, other])
        assert embedded.json()["details"] == "request.count"
        # Up to the most rows of an answer PostgREST counts what one sees; beyond, it estimates.
        for kind in ("exact", "estimated"):
            counted = client.head(path, headers={"prefer": f"count={kind}"})
            assert counted.headers["content-range"] == "*/0"


def test_no_table_a_client_may_read_is_ever_estimated(api: Api) -> None:
    with api.client(OLGA) as client:
        tables = [path for path in client.get("/").json()["paths"] if path.count("/") == 1]
        read = [path for path in tables if path != "/" and client.get(path).status_code == 200]
        assert len(read) > 30
        for path in read:
            answer = client.get(path, headers=[("prefer", "count=planned"), ("prefer", "x=y")])
            assert answer.status_code == 400, path
            assert answer.json()["details"] == "request.count"


@pytest.mark.parametrize("name", ["create_api_key", "create_organization", "exchange_api_key"])
def test_what_writes_cannot_be_called_by_get(api: Api, name: str) -> None:
    arguments = {
        "create_api_key": {"organization_id": ALDER, "name": "x", "permissions": "{contacts.read}"},
        "create_organization": {"name": "x", "slug": "xxx"},
        "exchange_api_key": {"api_key": "hk_x"},
    }[name]
    with api.client(OLGA) as client:
        answer = client.get(f"/rpc/{name}", params=arguments)
        assert answer.status_code in (401, 405), answer.text
        assert_refused(answer)


def test_an_upsert_on_another_tenants_key_changes_nothing(api: Api) -> None:
    with api.database.connect(autocommit=True) as conn:
        row = conn.execute(
            "select id::text, full_name from public.contacts where organization_id = %s limit 1",
            [ALDER],
        ).fetchone()
        assert row is not None
        with api.client(OTTO) as client:
            for organization in (ALDER, BIRCH):
                answer = client.post(
                    "/contacts?on_conflict=organization_id,id",
                    json={"organization_id": organization, "id": row[0], "first_name": "Stolen"},
                    headers={"prefer": "resolution=merge-duplicates"},
                )
                assert answer.status_code in (201, 400, 403, 409), answer.text
        after = conn.execute(
            "select full_name from public.contacts where organization_id = %s and id = %s",
            [ALDER, row[0]],
        ).fetchone()
        assert after == (row[1],)


def test_hidden_schemas_and_columns_are_not_there(api: Api) -> None:
    with api.client(OLGA) as client:
        for path in ("/api_key_secrets", "/users", "/rpc/org_ids", "/rpc/pre_request"):
            assert client.get(path).status_code == 404
        for profile in ("private", "auth", "audit", "pg_catalog"):
            answer = client.get("/users", headers={"accept-profile": profile})
            assert answer.status_code == 406, answer.text
            for path in ("/rpc/pre_request", "/rpc/org_ids", "/users"):
                written = client.post(path, json={}, headers={"content-profile": profile})
                assert written.status_code == 406, written.text
        explained = client.get("/contacts", headers={"accept": "application/vnd.pgrst.plan+json"})
        assert explained.status_code in (406, 415)


def test_a_member_cannot_delete_what_only_others_may(api: Api) -> None:
    """The positive twin: a member does reach the records of the own organization."""
    with api.client(MIKA) as client:
        assert client.get("/contacts").json()
