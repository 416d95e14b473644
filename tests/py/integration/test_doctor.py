"""The doctor: quiet on a healthy database, and one finding for each ill we give it."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from fix_database import ROOT

from harmonia_py import dsn
from harmonia_py.engines import Database, binaries
from harmonia_py.errors import HarmoniaError
from harmonia_py.lifecycle.doctor import drift, examine
from harmonia_py.project import Project

ORG = "(select id from public.organizations order by id limit 1)"
ILLS = {
    "role.missing": "alter role anon rename to anon_gone",
    "audit.partitions": "do $$ begin execute format('drop table audit.events_%s',"
    " to_char(now() at time zone 'UTC' + interval '1 month', 'YYYYMM')); end $$",
    "index.foreign_key": "drop index public.contacts_company_idx;"
    " update pg_class set reltuples = 20000 where oid = 'public.contacts'::regclass",
    "api_key.expired": "insert into public.api_keys (organization_id, name, hint, created_at,"
    f" expires_at) values ({ORG}, 'old', 'hk_', now() - interval '9 days', now() - interval '1 d')",
    "notifications.waiting": "insert into private.notifications (kind, dedupe_key, recipient,"
    " subject, body, created_at) values ('t', 'k', 'a@b.example', 's', 'b',"
    " now() - interval '2 hours')",
    "subprocessors.unannounced": "insert into public.subprocessor_subscriptions"
    f" values ({ORG}, 'dpo@alder.example'); select private.set_subprocessor('mailer', 'Mailer',"
    " 'mail', 'EU', null, current_date + 9, null)",
    "rls.off": "alter table public.contacts no force row level security",
    "grant.anon": "grant select on public.contacts to anon",
    "grant.private": "grant select on private.legal_holds to service_role",
    "role.bypasses_rls": "alter role anon bypassrls",
    "function.search_path ": "alter function private.health() reset search_path",
    "function.search_path": "alter function private.health() set search_path = ''",
    "index.invalid": "update pg_index set indisvalid = false"
    " where indexrelid = 'public.memberships_role_idx'::regclass",
    "tenant.unguarded ": "alter table public.tags disable trigger tg_tags__closing_update",
    "tenant.unguarded  ": "alter table public.tags enable trigger tg_tags__keep_held",
    "tenant.unguarded": "create table public.fresh (organization_id uuid not null references"
    " public.organizations (id), id int, primary key (organization_id, id));"
    " call private.lock_down('public.fresh')",
    "audit.disabled": "alter table audit.events enable trigger tg_events__refuse_delete",
    "audit.unsealed": "alter table audit.links disable trigger user;"
    " update audit.links set at = now() - interval '2 days' where seq = 1",
    "retention.overdue": "insert into private.closures (organization_id, closing_at, purge_after)"
    " select id, now() - interval '40 days', now() - interval '9 days'"
    " from public.organizations limit 1",
    "retention.uncertified": "insert into private.closures (organization_id, purged_at)"
    " select id, now() from public.organizations limit 1",
    "seats.stale": "update private.seats set rights = rights || private.codes('audit.read')"
    " where rated_role = 'viewer'",
    "seats.unkept": "alter table auth.mfa_factors disable trigger tg_mfa_factors__rate_seats",
    "notifications.failed": "insert into private.notifications (kind, dedupe_key, recipient,"
    " subject, body, status) values ('t', 'k', 'a@b.example', 's', 'b', 'failed')",
}


def test_a_healthy_database_has_nothing_to_remedy(database: Database) -> None:
    assert examine(database.owner_dsn) == []
    assert drift(database.owner_dsn, Project(ROOT / "supabase")) == []


def test_every_question_is_tried() -> None:
    asked = re.findall(
        r"^    '([a-z_]+\.[a-z_]+)'(?: as code)?,$",
        (ROOT / "harmonia_py/lifecycle/sql/doctor.sql").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(asked) >= 20
    assert {*asked} == {code.strip() for code in ILLS} | {
        "api.not_listening",
        "statistics.stale",
    }


@pytest.mark.parametrize("code", ILLS)
def test_each_ill_is_found_with_a_remedy(database: Database, code: str) -> None:
    statements, code = ILLS[code], code.strip()
    with database.connect_admin(autocommit=True) as admin:
        assert code not in {f.code for f in examine(admin)}
        with admin.transaction(force_rollback=True):
            admin.execute("set local allow_system_table_mods = on")
            for statement in [statements] if "$$" in statements else statements.split(";"):
                admin.execute(statement.encode())
            rows = admin.execute(
                (ROOT / "harmonia_py/lifecycle/sql/doctor.sql").read_bytes()
            ).fetchall()
    found = [row for row in rows if row[0] == code]
    assert found and all(row[3] for row in found)


DRIFTS = {
    "policy public.contacts: select_member": "drop policy select_member on public.contacts",
    "policy public.tags: select_member": "alter policy select_member on public.tags using (true)",
    "privileges of relation public.teams": "grant select on public.teams to service_role, anon",
    "trigger public.memberships": "alter table public.memberships"
    " disable trigger tg_memberships__keep_owner",
    "routine private.org_ids": "alter function private.org_ids(text[]) security invoker",
    "row level security public.deals": "alter table public.deals no force row level security",
}


def test_drift_is_named(database: Database) -> None:
    """What somebody changed by hand, behind the migrations' back."""
    with database.connect_admin(autocommit=True) as admin:
        for statement in DRIFTS.values():
            admin.execute(statement.encode())
    with database.connect() as owner:
        # More partitions of the same kind are none.
        owner.execute("call audit.ensure_partitions(14)")
    found = [f.what for f in drift(database.owner_dsn, Project(ROOT / "supabase"))]
    for name in DRIFTS:
        assert any(f"the {name}" in what for what in found), (name, found)
    assert len(found) == len(DRIFTS), found


def test_nothing_to_compare_with_is_said(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "installed", list)
    (finding,) = drift(database.owner_dsn, Project(ROOT / "supabase"))
    assert finding.code == "policies.not_compared"


def test_stale_statistics_are_said(database: Database) -> None:
    """The server counts what was committed, so this one cannot be rolled back."""
    with database.connect_admin(autocommit=True) as admin:
        admin.execute("analyze public.tags")
        admin.execute(
            "insert into public.tags (organization_id, name)"
            f" select {ORG}, 'tag ' || i from generate_series(1, 20001) as i".encode()
        )
        admin.execute("select pg_stat_force_next_flush()")
        found = [f for f in examine(admin) if f.code == "statistics.stale"]
        assert [f.remedy for f in found] == ["analyze tags"] or "tags" in found[0].remedy
        admin.execute("analyze public.tags")
        admin.execute("select pg_stat_force_next_flush()")
        assert "statistics.stale" not in {f.code for f in examine(admin)}


def test_a_postgrest_that_does_not_listen_is_said(database: Database) -> None:
    with database.connect_admin(autocommit=True) as admin:
        # The server is the session's: its passwords are not this test's to change.
        url = dsn.replace(database.dsn_as("authenticator"), application_name="PostgREST 12.0.2")
        with psycopg.connect(url, autocommit=True) as api:
            api.execute("select 1")
            assert "api.not_listening" in {f.code for f in examine(admin)}
            api.execute("listen pgrst")
            assert "api.not_listening" not in {f.code for f in examine(admin)}


def test_files_that_are_not_live_are_named(database: Database, tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "29990101000000_later.sql").write_text("select 1;")
    (tmp_path / "migrations" / "29990101000001_policies.sql").write_text("select 1;")
    found = {f.code for f in examine(database.owner_dsn, supabase=tmp_path)}
    assert {"migration.pending", "policies.drift"} <= found


def test_a_database_that_is_not_ours_is_said(plain_database: Database) -> None:
    with pytest.raises(HarmoniaError, match="not migrated"):
        examine(plain_database.owner_dsn)
