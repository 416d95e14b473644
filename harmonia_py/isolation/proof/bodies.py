"""Bodies of PL/pgSQL: the paths through them, and what may be returned on each."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import z3
from pglast import parse_sql

from harmonia_py.isolation import routines
from harmonia_py.isolation.catalog import Function
from harmonia_py.isolation.proof.casts import plain
from harmonia_py.isolation.proof.expressions import Translator, expression
from harmonia_py.isolation.proof.formulas import YES, all_of, any_of, negated
from harmonia_py.isolation.proof.queries import Queries
from harmonia_py.isolation.proof.scope import Record, Scope, Source
from harmonia_py.isolation.proof.terms import Alternative, Array, Fields, Row, Term, World, truth

__all__ = ["Body", "Inliner"]

#: What is performed to see whether there is such a row; a call alone is made for what it does.
_ASKS_TABLE = re.compile(r"\bfrom\b.*\bwhere\b", re.I | re.S)
_RETURNED = re.compile(r'\breturn\s+(next\s+)?(?!next\b)("[^"]+"|\w+)\s*;', re.I)
#: A variable of a type of the project's own, where it is declared.
_DECLARED = re.compile(r"\bdeclare\b.*?\bbegin\b", re.I | re.S)
_OWN_TYPE = re.compile(
    r"((?:\bdeclare|;|\n)\s*\w+\s+(?:constant\s+)?)(?!pg_catalog\.)\w+\.\w+(?=\s*(?:;|:=))", re.I
)


#: Variables of a block inside another, and a say in whether a name is one.
_AMBIGUOUS = re.compile(
    r"#variable_conflict\s+use_v|\bdeclare\b.*\bdeclare\b|\balias\s+for\b", re.I | re.S
)
_GIVEN = re.compile(r"\w+\.\w+\s*(?::=|=|\bdefault\b)", re.I)
#: Types of variables of which it is known what they hold.
_KNOWN = frozenset(
    "uuid text varchar int2 int4 int8 int integer smallint bigint bool boolean numeric decimal"
    " float8 date timestamp timestamptz jsonb json citext record name".split()
)
#: What is no code in a body: remarks, and texts.
_REMARKS = re.compile(
    r"--[^\n]*|/\*.*?\*/|\be'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.S | re.I
)
_TYPED = re.compile(
    r"(?:\bdeclare|;)\s*(\w+)\s+(?:constant\s+)?([\w.\"]+(?:\[\])?)(?:%rowtype)?"
    r"\s*(?=;|:=|=|\bdefault\b)",
    re.I,
)
#: An assignment to all of a variable, or to a field of one.
_ASSIGNED = re.compile(r"\s*(\w+)(?:\.\w+)?\s*:?=(?!=)(.*)", re.S)
#: Types of which a field of a record holds whatever is of the same type.
_UNBOUND = frozenset("uuid text int2 int4 int8 jsonb".split())


class Inliner(Protocol):
    """What a body needs of the functions it is one of."""

    world: World
    translator: Translator
    queries: Queries

    def taken(self, value: Term | Array, kind: str) -> Term | Array:
        """Return what a variable of a type holds of a value."""


@functools.lru_cache(maxsize=1024)
def _plpgsql(source: str, names: tuple[str, ...], several: bool) -> Any:  # noqa: FBT001
    # The parser tells what is returned when it is an expression, and not when it is a variable.
    source = _RETURNED.sub(r"return \1(\2);", source)
    returns = "setof text" if several else "text"
    # The parser knows no type of the project's: what it may have in it is seen where it gets it.
    source = _DECLARED.sub(lambda m: _OWN_TYPE.sub(r"\1record", m.group(0)), source, count=1)
    return routines.plpgsql(source, names, returns)[0]["PLpgSQL_function"]


#: Variables, and the records among them, by name.
_Held = tuple[dict[str, Term | Array], dict[str, Source]]


@dataclass
class _Path:
    """Where control has got to: the condition of being there, or nothing when it has left."""

    when: Any
    alive: bool = True


class Body:
    """Walk a PL/pgSQL body and collect what it may return."""

    def __init__(self, functions: Inliner, scope: Scope, function: Function) -> None:
        self.functions, self.scope, self.function = functions, scope, function
        self.world = functions.world
        names = tuple(a.name for a in function.arguments if a.name)
        self.tree = _plpgsql(function.source, names, function.returns_set)
        self.variables: dict[str, Term | Array] = dict(scope.variables)
        self.out: list[Alternative] = []
        self.numbers: dict[int, str] = {}
        self.fields: dict[int, tuple[int, str]] = {}
        self.records: dict[str, Source] = {}
        self.code = _REMARKS.sub(" ", function.source)
        found = _TYPED.findall(self.code.partition("begin")[0])
        self.declared: set[str] = set()
        given = [a for a in function.arguments if a.name]
        self.types = {a.name: a.type for a in given} | {n.lower(): k.lower() for n, k in found}
        #: What the parameters are called by their places.
        self.places = {a.name: f"${n}" for n, a in enumerate(function.arguments, start=1)}

    def run(self) -> list[Alternative]:
        """Return what the body may return, each under the condition of getting there."""
        hides_another = False
        for number, datum in enumerate(self.tree.get("datums", ())):
            if (inside := datum.get("PLpgSQL_recfield")) is not None:
                self.fields[number] = inside["recparentno"], inside["fieldname"]
            variable = datum.get("PLpgSQL_var") or datum.get("PLpgSQL_rec")
            if variable is None:
                continue
            name = variable.get("refname", "")
            hides_another |= name in self.numbers.values()
            self.numbers[number] = name
            if name in self.variables:
                continue
            self.declared.add(name)
            default = variable.get("default_val")
            if default is not None:
                self.variables[name] = self._held_as(name, self._value(default))
            elif "PLpgSQL_rec" in datum and _GIVEN.search(self.code.partition("begin")[0]):
                # What a variable of such a type begins with is not told.
                self.variables[name] = self.world.unknown(f"what {name} begins with")
            elif name != "found":
                null = self.world.null
                self.variables[name] = replace(null, fields=Fields(rest=null))
        if hides_another or _AMBIGUOUS.search(self.code):
            self._surprise("a name that depends on where it stands", _Path(YES))
        else:
            self._block(self.tree["action"]["PLpgSQL_stmt_block"], _Path(YES))
        return self.out

    # Expressions -----------------------------------------------------------------------------

    def _scope(self) -> Scope:
        # A set may be looked into later, and holds what the variables were when it was made.
        variables = dict(self.variables)
        return replace(self.scope, variables=variables, sources=tuple(self.records.items()))

    def _value(self, holder: dict[str, Any]) -> Term | Array:
        text = holder["PLpgSQL_expr"]["query"]
        return self.functions.translator.any(expression(text), self._scope())

    def _condition(self, holder: dict[str, Any]) -> Any:
        value = self._value(holder)
        if isinstance(value, Array):
            return self.world.flag("condition")
        return truth(self.world.as_bool(value))

    # Statements ------------------------------------------------------------------------------

    def _walk(self, statements: list[dict[str, Any]], path: _Path) -> _Path:
        for statement in statements:
            if not path.alive:
                break
            kind, body = next(iter(statement.items()))
            method = getattr(self, f"_{kind.removeprefix('PLpgSQL_stmt_')}", None)
            if method is None:
                self._surprise(kind, path)
            else:
                path = method(body, path)
        return path

    def _surprise(self, kind: str, path: _Path) -> None:
        reason = f"{self.function.key}: {kind.removeprefix('PLpgSQL_stmt_')}"
        for name in self.numbers.values():
            self._set(name, self.world.unknown(reason))
        self.out.append(Alternative(path.when, (("", self.world.unknown(reason)),)))

    def _block(self, body: dict[str, Any], path: _Path) -> _Path:
        if "exceptions" in body:
            self._surprise("exception handler", path)
        return self._walk(body.get("body", []), path)

    def _raise(self, body: dict[str, Any], path: _Path) -> _Path:
        # EXCEPTION is level 21; notices and warnings go on.
        return _Path(path.when, alive=body.get("elog_level", 21) < 21)

    def _return(self, body: dict[str, Any], path: _Path) -> _Path:
        if "expr" in body:
            value = self._value(body["expr"])
            if isinstance(value, Array):
                self.out += [
                    Alternative(all_of(path.when, e.when), e.columns) for e in value.elements()
                ]
            else:
                self.out.append(Alternative(path.when, (("", value),)))
        return _Path(path.when, alive=False)

    def _return_next(self, body: dict[str, Any], path: _Path) -> _Path:
        if "expr" in body:
            value = self._value(body["expr"])
            if isinstance(value, Term):
                self.out.append(Alternative(path.when, (("", value),)))
        else:
            self._surprise("return next", path)
        return path

    def _return_query(self, body: dict[str, Any], path: _Path) -> _Path:
        if "query" not in body:
            self._surprise("dynamic query", path)
            return path
        for row in self.functions.queries.text(
            body["query"]["PLpgSQL_expr"]["query"], self._scope()
        ):
            self.out.append(Alternative(all_of(path.when, row.when), row.columns))
        self.variables["found"] = self.world.fresh("found", boolean=True, never_null=True)
        return path

    def _perform(self, body: dict[str, Any], path: _Path) -> _Path:
        text = body["expr"]["PLpgSQL_expr"]["query"]
        if _ASKS_TABLE.search(text):
            _, self.variables["found"] = self._merge(
                self.functions.queries.text(text, self._scope()), []
            )
        else:
            self.variables["found"] = self.world.fresh("found", boolean=True, never_null=True)
        return path

    def _set(self, name: str, value: Term | Array) -> None:
        """Give a variable a value; a parameter has a second name, by its place."""
        self.records.pop(name, None)
        self.variables[name] = value
        if name in self.places:
            self.variables[self.places[name]] = value

    def _assign(self, body: dict[str, Any], path: _Path) -> _Path:
        text, number = body["expr"]["PLpgSQL_expr"]["query"], body.get("varno", 0)
        inside = self.fields.get(number)
        said = _ASSIGNED.fullmatch(text)
        if said is None:
            # A part of an array, or something less common.
            self._forget({self.numbers[inside[0] if inside else number]}, "a part was assigned")
            return path
        new = self.functions.translator.any(expression(said[2]), self._scope())
        if inside is not None:
            self._set(*self._composed(*inside, new))
        else:
            name = self.numbers.get(number, said[1])
            self._set(name, self._held_as(name, new))
        return path

    def _held_as(self, name: str, value: Term | Array) -> Term | Array:
        kind = self.types.get(name.lower(), "")
        held = self.functions.taken(value, kind)
        known = kind.removesuffix("[]") in _KNOWN or kind.endswith(".citext")
        known |= name not in self.declared or kind in self.world.catalog.domains
        if known or not isinstance(held, Term) or held.kind == kind or held.path:
            return held
        if held.fields is not None or held.is_bool or self.world.catalog.attributes(kind):
            return held
        # A length or a type that is looked up: it may hold less, or read a text.
        return self.world.apply(f"held in {name}", [held], exact=False)

    def _in_record(self, record: str, columns: list[tuple[str, Term]]) -> Record:
        """Return what a record holds: under the columns' names, or, in a type, by their places."""
        kind = self.types.get(record.lower())
        held = Record()
        if kind == "record":
            for name, term in columns:
                held.setdefault(name, term)  # of two with a name, the first is found
            return held
        attributes = self.world.catalog.attributes(kind) if kind else None
        if attributes is None or len(attributes) != len(columns):
            return held
        for (name, to), (_, term) in zip(attributes, columns, strict=True):
            held[name] = self.functions.taken(term, to)
        return held

    def _store(self, targets: list[dict[str, Any]], values: list[Term]) -> None:
        """Give variables, or fields of some, what the columns of a row hold."""
        for target, value in zip(targets, values, strict=True):
            if (inside := self.fields.get(target["varno"])) is not None:
                self._set(*self._composed(*inside, value))
            else:
                self._set(target["name"], self._held_as(target["name"], value))

    def _composed(self, whole: int, field: str, value: Term | Array) -> tuple[str, Term]:
        """Return a variable's name and what it is once one of its fields has a value."""
        name = self.numbers[whole]
        before = self.records.get(name) or getattr(self.variables.get(name), "fields", None)
        known = Fields() if before is None or isinstance(before, Row) else before
        rest = known.rest if isinstance(known, Fields) else None
        kind = self.types.get(name.lower(), "")
        fresh = replace(self.world.fresh(name, never_null=True, exact=False), kind=kind or None)
        held = self._in_field(name, field, known.get(field), value)
        return name, replace(fresh, fields=Fields({**known, field: held}, rest))

    def _in_field(
        self, name: str, field: str, before: Term | Array | None, value: Term | Array
    ) -> Term | Array:
        """Return what a field holds, as the variable's type says, or what the field had."""
        attributes = self.world.catalog.attributes(self.types.get(name.lower(), ""))
        if attributes is not None and (kind := dict(attributes).get(field)):
            return self.functions.taken(value, kind)
        if isinstance(before, Term) and isinstance(value, Term):
            kind = plain(value.kind) or ""
            alike = kind == plain(before.kind) and kind in _UNBOUND
            if alike or (value.is_bool and before.is_bool):
                return value
        if isinstance(value, Array):
            return self.world.unknown(f"a list in {name}.{field}")
        return self.world.apply(f"held in {name}.{field}", [value], exact=False)

    def _execsql(self, body: dict[str, Any], path: _Path) -> _Path:
        statement = parse_sql(body["sqlstmt"]["PLpgSQL_expr"]["query"])[0].stmt
        if type(statement).__name__ != "SelectStmt":
            self._surprise("a statement that writes", path)
            return path
        if not body.get("into"):
            self.variables["found"] = self.world.fresh("found", boolean=True, never_null=True)
            return path
        rows = self.functions.queries.text(body["sqlstmt"]["PLpgSQL_expr"]["query"], self._scope())
        target = body["target"]
        if "PLpgSQL_row" not in target:
            name = (target.get("PLpgSQL_rec") or target.get("PLpgSQL_var", {})).get("refname", "")
            names = [n for n, _ in rows[0].columns] if rows else []
            merged, found = self._merge(rows, names)
            self.records[name] = self._in_record(name, list(zip(names, merged, strict=True)))
            self.variables[name] = self.world.unknown(f"record {name}")
            self.variables["found"] = found
            return path
        fields = target["PLpgSQL_row"]["fields"]
        merged, found = self._merge(rows, [field["name"] for field in fields])
        self._store(fields, merged)
        self.variables["found"] = found
        return path

    def _merge(self, rows: list[Alternative], names: list[str]) -> tuple[list[Term], Term]:
        """Return the columns of whichever row came, and whether one did."""
        flags = [self.world.flag("into") for _ in rows]
        self.world.facts += [z3.Implies(f, r.when) for f, r in zip(flags, rows, strict=True)]
        merged = []
        for column, name in enumerate(names):
            value = self.world.one_of(name, (row.columns[column][1] for row in rows))
            for flag, row in zip(flags, rows, strict=True):
                term = self.world.as_value(row.columns[column][1])
                self.world.facts.append(z3.Implies(flag, self.world.is_one(value, term)))
            self.world.facts.append(any_of(value.null, *flags))
            merged.append(value)
        return merged, self.world.boolean(any_of(*flags) if flags else False)

    def _fors(self, body: dict[str, Any], path: _Path) -> _Path:
        """Run the body of FOR ... IN query for any of its rows, as the first and as a later one."""
        rows = self.functions.queries.text(body["query"]["PLpgSQL_expr"]["query"], self._scope())
        record = (body["var"].get("PLpgSQL_rec") or {}).get("refname")
        for _ in range(2):
            changed: set[str] = set()
            for row in rows:
                before = self._held()
                self._take(body["var"], row)
                self._walk(body.get("body", []), _Path(all_of(path.when, row.when)))
                changed |= self._back(before)
            # What the rows before set is not tracked, neither by the next one nor afterwards.
            self._forget(changed - {"found", record}, "a loop")
            self.variables["found"] = self.world.fresh("found", boolean=True, never_null=True)
            if changed <= {record}:
                break
        if record is not None:
            self.records.pop(record, None)
            self.variables[record] = self.world.fresh(
                record, exact=False
            )  # the last row, whichever it was
        return path

    def _take(self, target: dict[str, Any], row: Alternative) -> None:
        """Give a loop's variables what one row holds."""
        if (record := target.get("PLpgSQL_rec")) is not None:
            name = record["refname"]
            self.records[name] = self._in_record(name, list(row.columns))
            return
        self._store(target["PLpgSQL_row"]["fields"], [term for _, term in row.columns])

    def _held(self) -> _Held:
        return dict(self.variables), dict(self.records)

    def _back(self, before: _Held) -> set[str]:
        """Take variables and records back to what they were; return those that had changed."""
        variables, records = self._held()
        self.variables, self.records = dict(before[0]), dict(before[1])
        return _changed(before[0], variables) | _changed(before[1], records)

    def _forget(self, names: set[str], after: str) -> None:
        """Know nothing of variables any more: which way set them is not tracked."""
        for name in names:
            self._set(name, self.world.unknown(f"{name} after {after}"))

    def _if(self, body: dict[str, Any], path: _Path) -> _Path:
        branches = [(body["cond"], body.get("then_body", []))]
        for branch in body.get("elsif_list", ()):
            part = branch["PLpgSQL_if_elsif"]
            branches.append((part["cond"], part.get("stmts", [])))
        before = self._held()
        rest = path.when
        survivors = []
        changed: set[str] = set()
        for condition, statements in branches:
            holds = self._condition(condition)
            end = self._walk(statements, _Path(all_of(rest, holds)))
            set_there = self._back(before)
            if end.alive:
                changed |= set_there
                survivors.append(end.when)
            rest = all_of(rest, negated(holds))
        end = self._walk(body.get("else_body", []), _Path(rest))
        set_there = self._back(before)
        if end.alive:
            changed |= set_there
            survivors.append(end.when)
        self._forget(changed - {"found"}, "a branch")
        if "found" in changed:
            self.variables["found"] = self.world.fresh("found", boolean=True, never_null=True)
        if not survivors:
            return _Path(path.when, alive=False)
        return _Path(any_of(*survivors))


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    return {
        name for name in before.keys() | after.keys() if before.get(name) is not after.get(name)
    }
