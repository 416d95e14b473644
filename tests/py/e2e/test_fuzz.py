"""Generated requests from the OpenAPI that PostgREST publishes, as two tenants.

Bounded and reproducible: hypothesis draws the same cases every run. No answer may be a 5xx, and
no answer to one tenant may hold a canary of the other.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, LiteralString

import httpx
import pytest
from fix_api import ALDER, BIRCH, OLGA, OTTO, Api, Person
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

EXAMPLES = 400
CANARY = {ALDER: "canaryalder7f3a", BIRCH: "canarybirch91c2"}
ORGANIZATIONS = [ALDER, BIRCH, "00000000-0000-7000-8000-000000000000"]

odd_text = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", "null", "NULL", "'", '"', "';--", "a\0b", "\u202e", "%00", "{}", "[]", "(", ")", ",",
         "\\", "1e999", "-1", "9" * 30, "true", "not.null", "*", "%", "\ud7ff", "🦊", "x" * 3000]
    ),
)  # fmt: skip
json_value = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), odd_text,
        st.sampled_from(ORGANIZATIONS), st.sampled_from(["2026-01-01", "infinity", "P1D"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(odd_text, inner, max_size=4)
    ),
    max_leaves=8,
)  # fmt: skip
operators = st.sampled_from(
    ["eq", "neq", "gt", "lt", "like", "ilike", "match", "in", "is", "cs", "cd", "ov", "fts",
     "plfts", "not.eq", "not.is", "eq(any)", "like(all)", "sl", "nope", ""]
)  # fmt: skip
prefer = st.sampled_from(
    ["", "return=representation", "return=headers-only", "resolution=merge-duplicates",
     "resolution=ignore-duplicates", "missing=default", "count=exact", "count=planned",
     "tx=rollback", "handling=strict", "max-affected=1", "params=single-object", "nonsense=1"]
)  # fmt: skip


@pytest.fixture(scope="module")
def surface(api: Api) -> dict[str, Any]:
    with api.database.connect(autocommit=True) as conn:
        for organization, canary in CANARY.items():
            conn.execute(
                "insert into public.companies (organization_id, name, description)"
                " values (%s, %s, %s)",
                [organization, canary, canary],
            )
            conn.execute(
                "insert into public.contacts (organization_id, first_name, email, description)"
                " values (%s, %s, %s, %s)",
                [organization, canary, f"{canary}@x.example", canary],
            )
            conn.execute(
                "insert into public.deals (organization_id, name, pipeline_id)"
                " select %s, %s, p.id from public.pipelines as p"
                " where p.organization_id = %s and p.is_default",
                [organization, canary, organization],
            )
            conn.execute(
                "insert into public.tags (organization_id, name) values (%s, %s)",
                [organization, canary],
            )
            conn.execute(
                "insert into public.activities (organization_id, kind, subject, body_html)"
                " values (%s, 'note', %s, %s)",
                [organization, canary, canary],
            )
    with api.client(OLGA) as client:
        document: dict[str, Any] = client.get("/").json()
    assert len(document["paths"]) > 40
    document["x-ids"] = [OLGA.id, OTTO.id, *ids_of(api)]
    return document


def ids_of(api: Api) -> list[str]:
    """Return ids of rows of both tenants, three of each table and tenant."""
    with api.database.connect() as conn:
        tables = conn.execute(
            "select table_name from information_schema.columns where table_schema = 'public'"
            " and column_name in ('id', 'organization_id')"
            " group by 1 having count(*) = 2 order by 1"
        ).fetchall()
        found = [
            conn.execute(
                sql.SQL(
                    "select id::text from {} where organization_id = %s order by id limit 3"
                ).format(sql.Identifier("public", name)),
                [organization],
            ).fetchall()
            for (name,) in tables
            for organization in (ALDER, BIRCH)
        ]
    return [id_ for rows in found for (id_,) in rows]


def arguments_of(document: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the columns of a table or the arguments of a function, with their types."""
    if not path.startswith("/rpc/"):
        found: dict[str, Any] = document["definitions"].get(path[1:], {}).get("properties", {})
        return found
    for parameter in document["paths"][path].get("post", {}).get("parameters", []):
        if parameter.get("in") == "body":
            found = parameter["schema"].get("properties", {})
            return found
    return {}


WITH_CANARY = ["/activities", "/companies", "/contacts", "/deals", "/tags"]
# They end the tenant's own access, which the rest of the run needs.
FINAL = {
    "/rpc/close_organization", "/rpc/leave_organization", "/rpc/transfer_ownership",
    "/rpc/remove_member", "/rpc/suspend_member", "/rpc/change_member_role",
}  # fmt: skip
# What a form would send for columns that take only certain texts.
FITTING = {
    "channel": "email", "color": "#00aa00", "direction": "inbound", "kind": "note",
    "key": "field_a", "object": "contact", "type": "text", "query": "canary",
    "email": "new@x.example",
    "phone": "+49301234567", "currency": "EUR", "status": "open", "slug": "fresh-one",
    "body_text": "words", "content_html": "<p>words</p>", "origin": "https://x.example",
}  # fmt: skip


def plausible(name: str, kind: str, own: str, ids: list[str]) -> st.SearchStrategy[Any]:
    """Return values of a column's or argument's own type; ids are rows of both tenants."""
    if name == "organization_id":
        return st.sampled_from([own, own, own, *ORGANIZATIONS])
    if name in FITTING:
        return st.just(FITTING[name])
    id_ = st.one_of(st.sampled_from(ids), st.sampled_from(ids), st.uuids().map(str))
    text = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=20)
    return {
        "uuid": id_,
        "uuid[]": st.lists(id_, min_size=1, max_size=3),
        "text[]": st.lists(st.sampled_from(["contacts.read", "a", "email"]), max_size=3),
        "boolean": st.booleans(),
        "integer": st.integers(1, 300),
        "bigint": st.integers(1, 300),
        "jsonb": st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
        "date": st.dates().map(str),
        "timestamp with time zone": st.datetimes().map(str),
    }.get(kind, text)


@st.composite
def sensible(draw: Any, document: dict[str, Any], own: str) -> dict[str, Any]:
    """Draw a request that a careful client could send, naming rows of either tenant."""
    ids: list[str] = document["x-ids"]
    paths = sorted(set(document["paths"]) - FINAL)
    functions = [path for path in paths if path.startswith("/rpc/")]
    tables = [path for path in paths if arguments_of(document, path) and path not in functions]
    path = draw(
        st.one_of(*(st.sampled_from(few) for few in (functions, tables, tables, WITH_CANARY)))
    )
    names = arguments_of(document, path)
    query: list[tuple[str, str]] = []
    body = None
    if path in functions:
        method = "POST"
        body = {
            n: draw(plausible(n, kind.get("format", ""), own, ids)) for n, kind in names.items()
        }
    else:
        method = draw(st.sampled_from(["GET", "GET", "POST", "POST", "PATCH", "DELETE"]))
        if method == "POST":
            needed = set(document["definitions"][path[1:]].get("required", []))
            needed = (needed & names.keys()) - {"id", "created_at", "updated_at", "rank"}
            more = draw(st.lists(st.sampled_from(sorted(names)), max_size=2))
            chosen = sorted(needed | (set(more) if draw(st.booleans()) else set()))
            body = {n: draw(plausible(n, names[n].get("format", ""), own, ids)) for n in chosen}
        else:
            name = draw(st.sampled_from(sorted(names)))
            query = [(name, draw(st.sampled_from(["not.is.null", "is.null"])))]
            if method != "GET" and "id" in names:
                query = [("id", f"eq.{draw(st.sampled_from(ids))}")]
        if method == "PATCH":
            name = draw(st.sampled_from(sorted(names)))
            body = {name: draw(plausible(name, names[name].get("format", ""), own, ids))}
    return {
        "method": method,
        "path": path,
        "query": query,
        "body": body,
        "prefer": draw(st.sampled_from(["count=exact", "return=representation", ""])),
        "accept": draw(st.sampled_from(["application/json", "text/csv"])),
        "range": "",
    }


@st.composite
def requests(draw: Any, document: dict[str, Any]) -> dict[str, Any]:
    path = draw(st.sampled_from(sorted(document["paths"])))
    names = sorted(arguments_of(document, path)) or ["x"]
    known = st.sampled_from(names)
    name = st.one_of(known, known, known, odd_text)
    methods = ["GET", "POST", "HEAD"]
    if not path.startswith("/rpc/"):
        methods += ["PATCH", "PUT", "DELETE"]
    method = draw(st.sampled_from(methods))
    query: list[tuple[str, str]] = []
    for _ in range(draw(st.integers(0, 3))):
        value = draw(st.one_of(odd_text, st.sampled_from(ORGANIZATIONS)))
        query.append((draw(name), f"{draw(operators)}.{value}"))
    if draw(st.booleans()):
        select = draw(st.sampled_from([
            "*", "id", "*,organizations(*)", "*,contacts(*)", "*,companies(*,contacts(*))",
            "count()", "id::text", "x:id", "...organizations(name)", "*,*", "(", "a->b->>c",
        ]))  # fmt: skip
        query.append(("select", select))
    if draw(st.booleans()):
        query.append(("order", f"{draw(name)}.{draw(st.sampled_from(['asc', 'desc', 'x']))}"))
    if draw(st.booleans()):
        query.append(("limit", str(draw(st.integers(-1, 10**6)))))
    if draw(st.booleans()):
        query.append((draw(st.sampled_from(["or", "and", "not.or"])), draw(odd_text)))
    body = None
    if method in {"POST", "PATCH", "PUT"}:
        body = {draw(name): draw(json_value) for _ in range(draw(st.integers(0, 5)))}
        if draw(st.booleans()):
            body["organization_id"] = draw(st.sampled_from(ORGANIZATIONS))
        if draw(st.integers(0, 9)) == 0:
            body = draw(json_value)
    return {
        "method": method,
        "path": path,
        "query": query,
        "body": body,
        "prefer": draw(prefer),
        "accept": draw(
            st.sampled_from(
                [
                    "application/json",
                    "text/csv",
                    "application/vnd.pgrst.object+json",
                    "*/*",
                    "text/html",
                ]
            )
        ),
        "range": draw(st.sampled_from(["", "0-1", "5-2", "-1", "0-999999999999"])),
    }


def send(
    client: httpx.Client, case: dict[str, Any], content: str | None, headers: dict[str, str]
) -> httpx.Response:
    """Send it; once more on a fresh connection if the server had just closed this one."""
    try:
        return client.request(
            case["method"], case["path"], params=case["query"], content=content, headers=headers
        )
    except httpx.TransportError:
        with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=20) as fresh:
            return fresh.request(
                case["method"], case["path"], params=case["query"], content=content, headers=headers
            )


def fuzz(
    api: Api, surface: dict[str, Any], person: Person, own: str
) -> tuple[Counter[tuple[str, int]], int]:
    """Send the cases as a person; how many had which method and status, or the own canary."""
    foreign = CANARY[BIRCH if own == ALDER else ALDER]
    seen: Counter[tuple[str, int]] = Counter()
    shown = 0

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(st.one_of(sensible(surface, own), sensible(surface, own), requests(surface)))
    def attempt(case: dict[str, Any]) -> None:
        nonlocal shown
        headers = {"accept": case["accept"], "content-type": "application/json"}
        if case["prefer"]:
            headers["prefer"] = case["prefer"]
        if case["range"]:
            headers["range"] = case["range"]
        content = None if case["body"] is None else json.dumps(case["body"])
        try:
            answer = send(client, case, content, headers)
        except (httpx.InvalidURL, UnicodeEncodeError):
            return
        seen[case["method"], answer.status_code] += 1
        assert answer.status_code < 500, (case, answer.text)
        text = answer.text + str(answer.headers)
        # What one sent oneself may come back; it never holds a canary.
        assert foreign not in text, f"the canary of another tenant in {case}"
        shown += CANARY[own] in text

    with api.client(person) as client:
        attempt()
    return seen, shown


@pytest.mark.parametrize(("person", "own"), [(OLGA, ALDER), (OTTO, BIRCH)])
def test_no_request_breaks_the_server_or_reaches_another_tenant(
    api: Api, surface: dict[str, Any], person: Person, own: str
) -> None:
    other = BIRCH if own == ALDER else ALDER
    before = rows_of(api, other)
    seen, shown = fuzz(api, surface, person, own)
    # The positive control: reads and writes succeed, and one's own canary comes back.
    done = Counter({method: 0 for method, _ in seen})
    for (method, status), count in seen.items():
        done[method] += count if status < 300 else 0
    assert done.total() > EXAMPLES / 12, seen
    assert min(done["GET"], done["POST"]) > 3, seen
    assert shown > 0, seen
    assert rows_of(api, other) == before, "another tenant's rows were changed"


def rows_of(api: Api, organization: str) -> dict[str, str]:
    """Return what each table holds of an organization: the number of rows and one hash."""
    found: dict[str, str] = {}
    with api.database.connect() as conn:
        tables = conn.execute(
            "select table_name from information_schema.columns"
            " where table_schema = 'public' and column_name = 'organization_id'"
        ).fetchall()
        for (name,) in tables:
            row = conn.execute(
                sql.SQL(
                    "select count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0)"
                    " from {} as t where organization_id = %s"
                ).format(sql.Identifier("public", name)),
                [organization],
            ).fetchone()
            assert row is not None
            found[name] = row[0]
    assert found["contacts"][0] != "0"
    return found


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ("for select to authenticated using (true)", "canary of another tenant"),
        ("as restrictive for select to authenticated using (private.breaks())", "XX000"),
    ],
)
def test_a_planted_leak_and_a_planted_failure_are_found(
    api: Api, surface: dict[str, Any], policy: LiteralString, found: str
) -> None:
    tables = [sql.Identifier("public", path[1:]) for path in WITH_CANARY]
    with api.database.connect(autocommit=True) as conn:
        conn.execute(
            "create or replace function private.breaks() returns boolean language plpgsql as"
            " $$ begin raise exception using errcode = 'XX000', message = 'broken'; end $$;"
            " grant execute on function private.breaks() to authenticated"
        )
        for table in tables:
            conn.execute(sql.SQL("create policy hole on {} {}").format(table, sql.SQL(policy)))
        try:
            with pytest.raises(AssertionError, match=found):
                fuzz(api, surface, OLGA, ALDER)
        finally:
            for table in tables:
                conn.execute(sql.SQL("drop policy hole on {}").format(table))
