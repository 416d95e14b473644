"""What seats gain, and what else would, each way built on a copy and compared in one run.

    python -m benchmarks.looks                # 100,000 contacts in 300 organizations

``benchmarks.rls`` says what the policies cost; this says what is to be had by other ones. Some give
a right away (to one's own or one's team's rows, to API keys, to support access): they are no
proposals, they bound what a proposal could gain. The ratios are to the statement by hand, as
there.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from benchmarks import postgres, report, tenants
from benchmarks.frontend import DEAF, FLOOR, STATEMENTS, SWAP, Statement
from benchmarks.rls import join, parameters, timed, turned, undisturbed
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
#: What is shown as well as a client sends it that prepares nothing.
NAMES_ANEW = ("by id", "update one")
ANEW = ", planned anew"
#: The second condition of a policy on records, which is the same in every way but one.
_REACH = """
    and (
        organization_id = any(array(select private.{asked}(''contacts.read'')))
        or private.spans(
            (select private.my_span(''contacts.read'')), organization_id, team_id, owner_id
        )
    ) is true
"""
_SOMEWHERE = """organization_id = any(array(
    select private.{asked}(''contacts.read'', ''contacts.read_team'', ''contacts.read_own'')
))"""

#: The seats, read by a function instead of the plan of the statement.
_FUNCTION = """
create function private.bench_seats(variadic p_permissions text[])
returns setof uuid
language plpgsql stable security definer set search_path = ''
rows 5
as $$
declare
    v_claims constant jsonb := auth.jwt();
    v_user_id constant uuid := v_claims ->> 'sub';
    v_codes constant bigint[] := private.codes(variadic p_permissions);
begin
    return query
        select s.organization_id
        from private.seats as s
        where s.user_id = v_user_id and s.status = 'active' and s.role = s.rated_role
            and (s.banned_until is null or s.banned_until <= pg_catalog.now())
            and (not s.guarded or v_claims ->> 'aal' = 'aal2')
            and coalesce(v_claims ->> 'is_anonymous', 'false') = 'false'
            and s.rights && v_codes;
end;
$$;
grant execute on function private.bench_seats(text[]) to authenticated;
""" + SWAP.replace("{condition}", (_SOMEWHERE + _REACH).replace("{asked}", "bench_seats"))

_ONE_QUESTION = SWAP.replace(
    "{condition}",
    """organization_id = any(array(
        select s.organization_id from private.my_seats as s
        where s.rights && private.codes(''contacts.read'')
    ))""",
)

#: The claims read where they are asked for, by expressions that the planner writes out in full.
_WRITTEN_OUT = """
do $$
begin
    execute 'create or replace view private.my_seats with (security_barrier = true) as '
        || replace(
            replace(
                pg_get_viewdef('private.my_seats'::regclass),
                'private.seat_holder()',
                'case when coalesce(auth.jwt() ->> ''is_anonymous'', ''false'') = ''false'''
                ' then (auth.jwt() ->> ''sub'')::uuid end'
            ),
            'private.at_aal2()',
            'auth.jwt() ->> ''aal'' = ''aal2'''
        );
    assert pg_get_viewdef('private.my_seats'::regclass) !~ 'seat_holder|at_aal2';
end
$$;
"""

WAYS = {
    "the policies as they are": "",
    "seats, the claims written out": _WRITTEN_OUT,
    "nobody has a seat": "delete from private.seats",
    "no seats: the authorizer at once": SWAP.replace(
        "{condition}", (_SOMEWHERE + _REACH).replace("{asked}", "org_ids")
    ),
    "seats, read by a function": _FUNCTION,
    "seats, one question: without owners and teams": _ONE_QUESTION,
    "seats that are not looked at": DEAF,
    "the least policy": FLOOR,
}


def text_of(statement: Statement, way: str) -> str:
    """Return what is sent: only by hand is the organization always named."""
    return statement.policy if way else statement.hand


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
        callers = {"": (open_.enter_context(database.connect(autocommit=True)), "postgres")} | {
            way: (open_.enter_context(copy.connect(autocommit=True)), "authenticated")
            for way, copy in copies.items()
        }
        values = parameters(callers[""][0])
        statements = [s for s in STATEMENTS if s.name in NAMES]
        taken: dict[tuple[str, str], list[float]] = {}
        for turn in range(PASSES):
            for statement in statements:
                for number in range(ROUNDS):
                    spent = {
                        way: timed(*callers[way], text_of(statement, way), values)
                        for way in turned(list(callers), number)
                    }
                    if turn or number >= WARM_UP:
                        for way, (alone, _, anew) in spent.items():
                            taken.setdefault((statement.name, way), []).append(alone)
                            taken.setdefault((statement.name + ANEW, way), []).append(anew)
        least = {key: undisturbed(seconds) for key, seconds in taken.items()}
        columns = (*(s.name for s in statements), *(name + ANEW for name in NAMES_ANEW))
        rows = [
            (way, *(f"{least[column, way] / least[column, '']:.2f} x" for column in columns))
            for way in WAYS
        ]
        text = report.made_by(engine.label) + report.table(("instead", *columns), rows)
        report.publish("looks", text, options.into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
