"""The doctor: quiet on a healthy database, and one finding for each ill we give it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fix_database import ROOT

from harmonia_py.engines import Database
from harmonia_py.errors import HarmoniaError
from harmonia_py.lifecycle.doctor import examine

ILLS = {
    "rls.off": "alter table public.contacts no force row level security",
    "grant.anon": "grant select on public.contacts to anon",
    "grant.private": "grant select on private.legal_holds to service_role",
    "role.bypasses_rls": "alter role anon bypassrls",
    "function.search_path": "alter function private.health() reset search_path",
    "index.invalid": "update pg_index set indisvalid = false"
    " where indexrelid = 'public.memberships_role_idx'::regclass",
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
    "notifications.failed": "insert into private.notifications (kind, dedupe_key, recipient,"
    " subject, body, status) values ('t', 'k', 'a@b.example', 's', 'b', 'failed')",
}


def test_a_healthy_database_has_no_errors(database: Database) -> None:
    assert [f for f in examine(database.owner_dsn) if f.severity == "error"] == []


@pytest.mark.parametrize("code", ILLS)
def test_each_ill_is_found_with_a_remedy(database: Database, code: str) -> None:
    with database.connect_admin(autocommit=True) as admin:
        assert code not in {f.code for f in examine(admin)}
        with admin.transaction(force_rollback=True):
            admin.execute("set local allow_system_table_mods = on")
            for statement in ILLS[code].split(";"):
                admin.execute(statement.encode())
            rows = admin.execute(
                (ROOT / "harmonia_py/lifecycle/sql/doctor.sql").read_bytes()
            ).fetchall()
    found = [row for row in rows if row[0] == code]
    assert found and all(row[3] for row in found)


def test_files_that_are_not_live_are_named(database: Database, tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "29990101000000_later.sql").write_text("select 1;")
    (tmp_path / "migrations" / "29990101000001_policies.sql").write_text("select 1;")
    found = {f.code for f in examine(database.owner_dsn, supabase=tmp_path)}
    assert {"migration.pending", "policies.drift"} <= found


def test_a_database_that_is_not_ours_is_said(plain_database: Database) -> None:
    with pytest.raises(HarmoniaError, match="not migrated"):
        examine(plain_database.owner_dsn)
