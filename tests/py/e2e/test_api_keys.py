"""API keys, exchanged tokens and second factors, through PostgREST."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fix_api import ADAM, ALDER, BIRCH, MIKA, NORA, OLGA, OTTO, Api, Person
from fix_database import Connection
from fix_sessions import held, wait_for_lock
from psycopg import sql


def make(api: Api, permissions: list[str], person: Person = OLGA, **claims: Any) -> httpx.Response:
    with api.client(person, **claims) as client:
        return client.post(
            "/rpc/create_api_key",
            json={"organization_id": ALDER, "name": "sync", "permissions": permissions},
        )


def exchange(api: Api, key: str) -> httpx.Response:
    with api.client() as client:
        return client.post("/rpc/exchange_api_key", json={"api_key": key})


def machine(api: Api, key: str) -> httpx.Client:
    token = exchange(api, key).json()[0]["token"]
    return httpx.Client(base_url=api.url, headers={"x-harmonia-token": token}, timeout=20)


def test_a_key_can_do_what_it_was_given_in_its_organization_and_nothing_else(api: Api) -> None:
    key = make(api, ["contacts.read", "contacts.write"]).json()[0]["api_key"]
    with machine(api, key) as client:
        contacts = client.get("/contacts").json()
        assert contacts
        assert {row["organization_id"] for row in contacts} == {ALDER}
        row = {"organization_id": ALDER, "first_name": "Made by a machine"}
        assert client.post("/contacts", json=row).status_code == 201
        # Without a JWT, PostgREST says 401 where it would say 403.
        assert client.post("/contacts", json={**row, "organization_id": BIRCH}).status_code == 401
        assert client.get("/deals").json() == []
        assert client.delete("/contacts?first_name=eq.Nobody").status_code == 204
        assert client.get("/contacts?first_name=eq.Made by a machine").json()
        made = client.post(
            "/rpc/create_api_key",
            json={"organization_id": ALDER, "name": "x", "permissions": ["contacts.read"]},
        )
        assert made.status_code == 401
    with api.client(OLGA) as client:
        listed = client.get("/api_keys?select=name,hint,last_used_at,revoked_at").json()
        assert any(row["last_used_at"] for row in listed)
        assert all(key not in str(row) for row in listed)


def test_one_gives_away_only_what_one_holds_and_never_what_is_step_up(api: Api) -> None:
    for permissions in (["exports.write"], ["organization.security"], ["no.such"], []):
        refused = make(api, permissions, aal="aal2")
        assert refused.status_code in (403, 422), refused.text
        assert refused.json()["details"].startswith("api_key.permission")
    assert make(api, ["contacts.read"], MIKA).json()["details"] == "permission.denied"
    assert make(api, ["contacts.read"], OTTO).status_code == 403
    assert make(api, ["contacts.read"], NORA).status_code == 403
    assert make(api, ["contacts.read"]).status_code == 200


def test_revoking_ends_the_key_and_its_tokens_at_once(api: Api) -> None:
    made = make(api, ["contacts.read"]).json()[0]
    with machine(api, made["api_key"]) as client, api.client(OLGA) as olga:
        assert client.get("/contacts").status_code == 200
        with api.client(OTTO) as otto:
            foreign = otto.post(
                "/rpc/revoke_api_key",
                json={"organization_id": ALDER, "api_key_id": made["api_key_id"]},
            )
            assert foreign.status_code == 403
        gone = olga.post(
            "/rpc/revoke_api_key",
            json={"organization_id": ALDER, "api_key_id": made["api_key_id"]},
        )
        assert gone.status_code == 204, gone.text
        assert client.get("/contacts").json()["details"] == "api_key.token_invalid"
    assert exchange(api, made["api_key"]).json()["details"] == "api_key.invalid"


def test_a_key_that_is_revoked_while_it_is_exchanged_gives_no_token(api: Api) -> None:
    made = make(api, ["contacts.read"]).json()[0]
    revoke = "update public.api_keys set revoked_at = now() where id = %s"
    with api.database.connect() as conn, ThreadPoolExecutor(1) as pool:
        with held(api.database, revoke, made["api_key_id"]):
            late = pool.submit(exchange, api, made["api_key"])
            wait_for_lock(conn)
        assert late.result(timeout=30).json()["details"] == "api_key.invalid"
        used = conn.execute(
            "select last_used_at from public.api_keys where id = %s", [made["api_key_id"]]
        ).fetchone()
    # Or it would look as if a revoked key had been good for something.
    assert used == (None,)


def test_a_key_can_do_no_more_than_its_maker_can_now(api: Api) -> None:
    adams = make(api, ["contacts.read", "members.read"], ADAM).json()[0]["api_key"]
    olgas = make(api, ["contacts.read"]).json()[0]["api_key"]

    def see(client: httpx.Client) -> tuple[bool, bool]:
        return bool(client.get("/contacts").json()), bool(client.get("/memberships").json())

    def set_adam(conn: Connection, column: str, value: str) -> None:
        conn.execute(
            sql.SQL(
                "update public.memberships set {} = %s where organization_id = %s and user_id = %s"
            ).format(sql.Identifier(column)),
            [value, ALDER, ADAM.id],
        )

    with (
        machine(api, adams) as client,
        machine(api, olgas) as other,
        api.database.connect(autocommit=True) as conn,
    ):
        assert see(client) == (True, True)
        conn.execute(
            "insert into public.roles (organization_id, key, name, rank)"
            " values (%s, 'reader', 'Reader', 1)",
            [ALDER],
        )
        conn.execute(
            "insert into public.role_permissions (organization_id, role, permission)"
            " values (%s, 'reader', 'contacts.read')",
            [ALDER],
        )
        for column, value, seen in (
            ("role", "reader", (True, False)),
            ("role", "admin", (True, True)),
            ("status", "suspended", (False, False)),
        ):
            set_adam(conn, column, value)
            assert see(client) == seen, (column, value)
        assert exchange(api, adams).json()["details"] == "api_key.invalid"
        # Somebody else's key is no worse for it.
        assert other.get("/contacts").json()
        set_adam(conn, "status", "active")
        assert see(client) == (True, True)
        conn.execute(
            "update auth.users set banned_until = now() + interval '1 day' where id = %s",
            [ADAM.id],
        )
        assert see(client) == (False, False)
        assert exchange(api, adams).json()["details"] == "api_key.invalid"


def test_a_key_made_without_a_second_factor_does_not_outlive_the_rule(api: Api) -> None:
    plain = make(api, ["contacts.read"], ADAM).json()[0]["api_key"]
    strong = make(api, ["contacts.read"], ADAM, aal="aal2").json()[0]["api_key"]

    def rule(conn: Connection, required: bool) -> None:
        conn.execute(
            "update public.organizations set require_mfa = %s where id = %s", [required, ALDER]
        )

    with (
        machine(api, plain) as weak,
        machine(api, strong) as client,
        api.database.connect(autocommit=True) as conn,
    ):
        assert weak.get("/contacts").json()
        assert client.get("/contacts").json()
        rule(conn, required=True)
        try:
            assert weak.get("/contacts").json() == []
            assert exchange(api, plain).json()["details"] == "api_key.invalid"
            # Its maker, who has no factor, could do nothing either: no token is given any more.
            assert client.get("/contacts").json()
            assert exchange(api, strong).json()["details"] == "api_key.invalid"
            conn.execute(
                "insert into auth.mfa_factors"
                " (id, user_id, factor_type, status, secret, created_at, updated_at)"
                " values (gen_random_uuid(), %s, 'totp', 'verified', 'x', now(), now())",
                [ADAM.id],
            )
            assert client.get("/contacts").json()
            assert exchange(api, strong).status_code == 200
            assert weak.get("/contacts").json() == []
            assert exchange(api, plain).status_code == 401
        finally:
            rule(conn, required=False)
        assert weak.get("/contacts").json()


def test_an_expired_key_or_token_is_nothing(api: Api) -> None:
    made = make(api, ["contacts.read"]).json()[0]
    with machine(api, made["api_key"]) as client, api.database.connect(autocommit=True) as conn:
        conn.execute("update private.api_key_tokens set expires_at = now() - interval '1 s'")
        assert client.get("/contacts").status_code == 401
        conn.execute(
            "update public.api_keys set created_at = now() - interval '2 days',"
            " expires_at = now() - interval '1 s' where id = %s",
            [made["api_key_id"]],
        )
        assert exchange(api, made["api_key"]).status_code == 401
        stored = conn.execute("select row_to_json(s) from private.api_key_secrets as s").fetchall()
        assert made["api_key"] not in str(stored)


@pytest.mark.parametrize("key", ["", "hk_", "x" * 5000, "' or true --", "hk_\u202e"])
def test_guessing_a_key_says_nothing(api: Api, key: str) -> None:
    answer = exchange(api, key)
    assert answer.status_code == 401
    assert answer.json()["details"] == "api_key.invalid"


def test_a_second_factor_is_enforced_by_the_token(api: Api) -> None:
    with api.client(OLGA) as aal1, api.client(OLGA, aal="aal2") as aal2:
        body = {"organization_id": ALDER, "required": True}
        assert aal1.post("/rpc/set_require_mfa", json=body).status_code == 403
        assert aal2.post("/rpc/set_require_mfa", json=body).status_code == 204
        try:
            assert aal1.get(f"/contacts?organization_id=eq.{ALDER}").json() == []
            assert aal2.get(f"/contacts?organization_id=eq.{ALDER}").json()
        finally:
            aal2.post("/rpc/set_require_mfa", json={**body, "required": False})
        assert aal1.get(f"/contacts?organization_id=eq.{ALDER}").json()


def test_an_anonymous_sign_in_gets_nothing(api: Api) -> None:
    with api.client(OLGA, is_anonymous=True) as client:
        assert client.get("/contacts").json() == []
        assert client.get("/organizations").json() == []
        assert (
            client.post("/contacts", json={"organization_id": ALDER, "first_name": "x"}).status_code
            == 403
        )


def test_the_token_hook_adds_claims_for_the_interface_only(api: Api) -> None:
    with api.database.connect_admin(autocommit=True) as conn:
        event = {"user_id": OLGA.id, "claims": {"sub": OLGA.id, "role": "authenticated"}}

        def hook() -> dict[str, Any]:
            with conn.transaction():
                conn.execute("set local role supabase_auth_admin")
                row = conn.execute(
                    "select private.custom_access_token_hook(%s)", [json.dumps(event)]
                ).fetchone()
            assert row is not None
            claims: dict[str, Any] = row[0]["claims"]
            return claims

        with api.client(OLGA) as client:
            client.post("/rpc/set_active_organization", json={"organization_id": ALDER})
        claims = hook()
        assert claims["active_organization_id"] == ALDER
        assert claims["role"] == "authenticated"
        assert claims["organization_count"] >= 1
        granted = conn.execute(
            "select r from unnest(array['anon', 'authenticated', 'service_role', 'public']) as r"
            " where has_function_privilege(r, 'private.custom_access_token_hook(jsonb)', 'execute')"
        ).fetchall()
        assert granted == []
    # A claim that names another tenant opens nothing.
    with api.client(NORA, active_organization_id=ALDER, organization_id=ALDER) as client:
        assert client.get("/contacts").json() == []
