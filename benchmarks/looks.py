"""What cheaper looks of the authorizer would gain, each built on a copy and compared in one run.

    python -m benchmarks.looks                # 100,000 contacts in 300 organizations

``benchmarks.rls`` says what the policies cost; this says what is to be had by other ones. Most ways
give a right away (to one's own or one's team's rows, to API keys, to support access) or do not keep
up with changes: they are no proposals, they bound what a proposal could gain. The ratios are to the
statement by hand, as there.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from benchmarks import postgres, report, tenants
from benchmarks.frontend import DEAF, FLOOR, STATEMENTS, SWAP
from benchmarks.rls import join, parameters, timed, undisturbed
from harmonia_py.engines import EmbeddedEngine

PASSES, ROUNDS, WARM_UP = 5, 50, 8
NAMES = (
    "by id",
    "by e-mail",
    "latest 50 of one organization",
    "count in one organization",
    "update one",
    "delete one",
)
_ONE_CALL = SWAP.replace(
    "{condition}", "organization_id = any(array(select private.org_ids(''contacts.read'')))"
)

#: The two questions of a policy, up to what differs.
_ORG_IDS = """create or replace function private.org_ids(variadic p_permissions text[])
returns setof uuid
language plpgsql stable security definer set search_path = ''
set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off set enable_bitmapscan = off
rows 5
as $$
declare
    v_claims constant jsonb := auth.jwt();
    v_user_id constant uuid := v_claims ->> 'sub';
    v_aal2 constant boolean := coalesce(v_claims ->> 'aal', 'aal1') = 'aal2';
"""
_PARTIAL_REACH = """create or replace function private.partial_reach(p_permission text)
returns boolean
language plpgsql stable security definer set search_path = ''
set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off set enable_bitmapscan = off
as $$
"""

#: A membership that holds its rights and the state of its organization: one table instead of five.
_READY = (
    """
alter table public.memberships
    add column rights text[], add column organization_status text, add column require_mfa boolean;
alter table public.memberships disable trigger user;
update public.memberships as m
set
    rights = (
        select array_agg(b.permission)
        from public.builtin_role_permissions as b where b.role = m.role
    ),
    organization_status = o.status,
    require_mfa = o.require_mfa
from public.organizations as o
where o.id = m.organization_id;
analyze public.memberships;
"""
    + _ORG_IDS
    + """begin
    return query
        select m.organization_id
        from public.memberships as m
        where
            m.user_id = v_user_id and m.status = 'active' and m.rights && p_permissions
            and m.organization_status in ('active', 'closing') and (v_aal2 or not m.require_mfa)
            {account};
end;
$$;
"""
    + _PARTIAL_REACH
    + """declare
    v_user_id constant uuid := auth.jwt() ->> 'sub';
begin
    return exists (
        select 1 from public.memberships as m
        where m.user_id = v_user_id and m.status = 'active' and not p_permission = any(m.rights)
    );
end;
$$;
"""
)
_ACCOUNT = """
            and (v_aal2 or not exists (
                select 1 from auth.mfa_factors as f
                where f.user_id = v_user_id and f.status = 'verified'
            ))
            and exists (
                select 1 from auth.users as u
                where u.id = v_user_id and u.deleted_at is null
                and (u.banned_until is null or u.banned_until <= pg_catalog.now())
            )
"""

#: All answers ready, by person and permission: what is left is to find one row, twice a statement.
#: The least that an authorizer can look at which knows of rights, owners and teams.
_ANSWERS = (
    """
create table private.bench_answers (
    user_id uuid,
    permission text,
    aal2 boolean,
    organization_ids uuid[] not null,
    partial boolean not null,
    primary key (user_id, permission, aal2)
);
insert into private.bench_answers
select m.user_id, p.key, a.aal2, array_agg(m.organization_id), false
from public.memberships as m
inner join public.builtin_role_permissions as b on m.role = b.role
inner join public.permissions as p on b.permission = p.key
inner join (values (false), (true)) as a (aal2) on a.aal2 or not p.step_up
group by m.user_id, p.key, a.aal2;
analyze private.bench_answers;
"""
    + _ORG_IDS
    + """begin
    return query
        select pg_catalog.unnest(r.organization_ids)
        from private.bench_answers as r
        where r.user_id = v_user_id and r.permission = p_permissions[1] and r.aal2 = v_aal2;
end;
$$;
"""
    + _PARTIAL_REACH
    + """declare
    v_claims constant jsonb := auth.jwt();
    v_user_id constant uuid := v_claims ->> 'sub';
    v_aal2 constant boolean := coalesce(v_claims ->> 'aal', 'aal1') = 'aal2';
begin
    return coalesce(
        (
            select r.partial
            from private.bench_answers as r
            where r.user_id = v_user_id and r.permission = p_permission and r.aal2 = v_aal2
        ),
        true
    );
end;
$$;
"""
)

#: The looks as views with owner rights, which the planner puts into the statement itself.
_IN_PLAN = """
create view private.bench_seats with (security_barrier) as
select m.organization_id, m.role, o.status
from public.memberships as m
inner join public.organizations as o on o.id = m.organization_id
where
    m.user_id = (select auth.uid()) and m.status = 'active' and o.status in ('active', 'closing')
    and ((select coalesce(auth.jwt() ->> 'aal', 'aal1') = 'aal2') or not o.require_mfa)
    and (
        (select coalesce(auth.jwt() ->> 'aal', 'aal1') = 'aal2')
        or not (select exists (
            select 1 from auth.mfa_factors as f
            where f.user_id = (select auth.uid()) and f.status = 'verified'
        ))
    )
    and (select exists (
        select 1 from auth.users as u
        where u.id = (select auth.uid()) and u.deleted_at is null
        and (u.banned_until is null or u.banned_until <= now())
    ));
create view private.bench_roles with (security_barrier) as
select b.role, b.permission from public.builtin_role_permissions as b;
create view private.bench_permissions with (security_barrier) as
select p.key, p.writes, p.step_up from public.permissions as p;
grant select on private.bench_seats, private.bench_roles, private.bench_permissions
to authenticated;
""" + SWAP.replace(
    "{condition}",
    """organization_id = any(array(
        select s.organization_id from private.bench_seats as s
        where exists (
            select 1 from private.bench_permissions as p
            where p.key in (''contacts.read'', ''contacts.read_team'', ''contacts.read_own'')
            and not p.step_up and (s.status = ''active'' or not p.writes)
            and exists (
                select 1 from private.bench_roles as r
                where r.role = s.role and r.permission = p.key
            )
        )
    ))
    and (
        not exists (
            select 1 from private.bench_seats as s
            where not exists (
                select 1 from private.bench_roles as r
                where r.role = s.role and r.permission = ''contacts.read''
            )
        )
        or organization_id = any(array(select private.org_ids(''contacts.read'')))
        or (
            owner_id = (select auth.uid())
            and organization_id = any(array(select private.org_ids(''contacts.read_own'')))
        )
    )""",
)

WAYS = {
    "the policies as they are": "",
    "the looks inside the plan of the statement": _IN_PLAN,
    "a membership that knows its rights and its organization": _READY.replace(
        "{account}", _ACCOUNT
    ),
    "one call, without owners and teams": _ONE_CALL,
    "a membership that knows the account as well": _READY.replace("{account}", ""),
    "the same in one call, without owners and teams": _READY.replace("{account}", "") + _ONE_CALL,
    "every answer ready in one row": _ANSWERS,
    "an authorizer that looks at nothing": DEAF,
    "the least policy": FLOOR,
}


def main() -> int:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    tenants.add_options(parser, organizations=300, contacts=100_000)
    postgres.add_option(parser)
    report.add_option(parser)
    options = parser.parse_args()
    with EmbeddedEngine(options.pg_bin) as engine, ExitStack() as open_:
        database = tenants.build(engine, "bench_looks", options)
        join(database)
        copies = {}
        for number, (way, text) in enumerate(WAYS.items()):
            copies[way] = engine.create_database(f"bench_looks_{number}", template=database.name)
            with copies[way].connect() as connection:
                connection.execute(text.encode() or b"select 1")
        # A connection for each way: changing the role of one would throw its plans away.
        hand = open_.enter_context(database.connect(autocommit=True))
        others = {
            way: open_.enter_context(copy.connect(autocommit=True)) for way, copy in copies.items()
        }
        values = parameters(hand)
        statements = [s for s in STATEMENTS if s.name in NAMES]
        taken: dict[tuple[str, str], list[float]] = {}
        for turn in range(PASSES):
            for statement in statements:
                for number in range(ROUNDS):
                    spent = {"": timed(hand, "postgres", statement.hand, values)[0]}
                    for way, connection in others.items():
                        spent[way] = timed(connection, "authenticated", statement.policy, values)[0]
                    if turn or number >= WARM_UP:
                        for way, seconds in spent.items():
                            taken.setdefault((statement.name, way), []).append(seconds)
        least = {key: undisturbed(seconds) for key, seconds in taken.items()}
        rows = [
            (way, *(f"{least[s.name, way] / least[s.name, '']:.2f} x" for s in statements))
            for way in WAYS
        ]
        text = report.made_by(engine.label) + report.table(
            ("instead", *(s.name for s in statements)), rows
        )
        report.publish("looks", text, options.into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
