"""Which tables and functions an expression reaches, through helpers and views."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property, lru_cache

from harmonia_py.isolation.catalog import Catalog, Table

__all__ = ["References", "elements", "literals", "names_caller"]

_WORD = re.compile(r'"(?:[^"]|"")+"|[a-zA-Z_][\w$]*')
# The token's subject, as policies and helpers of all kinds take it.
_SUBJECT = re.compile(
    r"""\(?\s*(?:auth\.jwt\(\)|
        \(?\s*(?:nullif\(\s*)?current_setting\(\s*'request\.jwt\.claims'(?:::text)?\s*(?:,\s*true\s*)?\)
        \s*(?:,\s*''(?:::text)?\s*\))?\s*\)?::jsonb?\s*\)?)
        \s*->>\s*'sub'(?:::text)?\s*\)?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CALLER = re.compile(r"\bauth\.uid\(\)|'request\.jwt\.claim\.sub'", re.IGNORECASE)
#: A setting of the project's own that is called after the caller.
_NAMED_CALLER = (
    r"(?!(?:request|realtime|storage|pgrst)\.)\w+\.(?:\w+[._])*"
    r"(?:user|person|caller|uid|sub|actor|principal)(?:_?(?:id|uuid|uid|sub))?"
)
_SET_CALLER = re.compile(
    rf"""\(?\s*(?:nullif\(\s*)?(?:pg_catalog\.)?current_setting\(\s*'{_NAMED_CALLER}'(?:::text)?
        \s*(?:,\s*(?:true|false)\s*)?\)\s*(?:,\s*''(?:::text)?\s*\))?\s*\)?(?:\s*::\s*uuid)?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SESSION = frozenset("true auth uid role is not null and or select as text any array in".split())
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_NAME = r'(?:"([^"]+)"|(\w+))'
_DOING = re.compile(
    rf'\b(insert|delete)[ ]+(?:into|from)\s+(?:{_NAME}\s*\.\s*)?{_NAME}(?![\w."])', re.I
)
#: So many texts are remembered: bodies and policies are asked for again and again, by each
#: laboratory and for each mutant.
_KEPT = 4096


def literals(text: str) -> list[str]:
    """Return the quoted strings of an SQL expression, in order, unescaped."""
    return [m.replace("''", "'") for m in _LITERAL.findall(text)]


def elements(text: str) -> list[str]:
    """Take an array's output form apart: ``{a,"b c"}``."""
    inside = text.strip()[1:-1]
    found = re.findall(r'\s*"((?:[^"\\]|\\.)*)"\s*|([^,]+)', inside)
    return [re.sub(r"\\(.)", r"\1", quoted) or plain.strip() for quoted, plain in found]


def names_caller(setting: str) -> bool:
    """Whether a setting is called after the caller: ``app.user_id``."""
    return bool(re.fullmatch(_NAMED_CALLER, setting, re.IGNORECASE))


_CONSTANT = frozenset(
    "true false is not null and or any array now current_date current_timestamp".split()
) | frozenset({"AND", "OR", "NOT", "IS", "NULL", "ANY", "ARRAY", "CURRENT_DATE", "IN"})


def _told(table: Table, text: str) -> str:
    """Write ``true`` for what every row of the table meets: a column that is never null is not."""

    def said(match: re.Match[str]) -> str:
        always = table.has(match[1]) and table.column(match[1]).not_null
        return "true" if always else match[0]

    return re.sub(r'\(?\b"?(\w+)"? IS NOT NULL\b\)?', said, text)


@lru_cache(maxsize=_KEPT)
def _words(text: str) -> frozenset[str]:
    found = set(_WORD.findall(text))
    return frozenset(w[1:-1].replace('""', '"') if w[0] == '"' else w for w in found)


@lru_cache(maxsize=_KEPT)
def _done(text: str) -> frozenset[tuple[str, str, str]]:
    """Return what a body does to which tables: the verb, the schema (or nothing), the name."""
    return frozenset(
        (found[1].lower(), (found[2] or found[3] or "").lower(), (found[4] or found[5]).lower())
        for found in _DOING.finditer(text)
    )


@lru_cache(maxsize=_KEPT)
def _plain(text: str) -> str:
    return _SET_CALLER.sub("auth.uid()", _SUBJECT.sub("auth.uid()", text))


def _does(verb: str, text: str, table: Table) -> bool:
    """Whether a body does something to a table, by its name."""
    name = table.name.lower()
    return any((verb, schema, name) in _done(text) for schema in ("", table.schema.lower()))


class References:
    """Answer what a piece of SQL text can touch, by name, to a fixed point."""

    def __init__(self, catalog: Catalog) -> None:
        """Index the names of ``catalog``."""
        self.catalog = catalog
        self._tables: dict[str, list[str]] = defaultdict(list)
        for table in catalog.tables.values():
            self._tables[table.name].append(table.key)
        self._functions: dict[str, list[str]] = defaultdict(list)
        for function in catalog.functions.values():
            self._functions[function.name].append(function.key)
        self._cache: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        self._consulted: dict[str, frozenset[str]] = {}
        self._filled: dict[str, dict[str, bool]] = {}

    def words(self, text: str) -> frozenset[str]:
        """Return every identifier in ``text``."""
        return _words(text)

    def direct(self, text: str) -> tuple[set[str], set[str]]:
        """Return the tables and the functions that ``text`` itself names."""
        words = self.words(text)
        tables = {key for w in words & self._tables.keys() for key in self._tables[w]}
        functions = {key for w in words & self._functions.keys() for key in self._functions[w]}
        return tables, functions

    def reach(self, text: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the tables and functions ``text`` touches, through helpers and views."""
        if text in self._cache:
            return self._cache[text]
        tables, functions = self.direct(text)
        todo = list(functions) + list(tables)
        seen = set(todo)
        while todo:
            key = todo.pop()
            body = self._body(key)
            if not body:
                continue
            more_tables, more_functions = self.direct(body)
            tables |= more_tables
            functions |= more_functions
            for new in (more_tables | more_functions) - seen:
                seen.add(new)
                todo.append(new)
        self._cache[text] = (frozenset(tables), frozenset(functions))
        return self._cache[text]

    def _body(self, key: str) -> str:
        if function := self.catalog.functions.get(key):
            return function.source
        table = self.catalog.tables.get(key)
        return (table.definition or "") if table else ""

    def policy_text(self, table: Table, command: str | None = None) -> str:
        """Join the expressions of a table's policies (of one command, or all)."""
        parts = [
            f"{p.using or ''} {p.check or ''}"
            for p in table.policies
            if command is None or p.command in ("all", command)
        ]
        return "\n".join(parts)

    def plain(self, text: str) -> str:
        """Return ``text`` with every way to say who is calling written as ``auth.uid()``.

        Projects read the token's subject themselves, or wrap either in a function of their own.
        """
        text = _plain(text)
        return self._callers.sub("auth.uid()", text) if self._callers else text

    @cached_property
    def _callers(self) -> re.Pattern[str] | None:
        names = [
            f.name
            for f in self.catalog.functions.values()
            if not f.arguments
            and not f.returns_set
            and not f.is_trigger
            and f.returns in ("uuid", "text", "character varying")
            and not self.reach(f.source)[0]
            and any(p.search(f.source) for p in (_SUBJECT, _CALLER, _SET_CALLER))
        ]
        if not names:
            return None
        words = "|".join(re.escape(n) for n in sorted(names))
        return re.compile(rf'(?:"?\w+"?\.)?"?\b(?:{words})\b"?\(\)')

    def blanket(self, table: Table, command: str, role: str) -> bool:
        """Whether some policy lets ``role`` use any row: it compares nothing but the session.

        ``true``, ``auth.role() = 'authenticated'`` and ``auth.uid() is not null`` are such.
        """
        permissive = [p for p in table.policies_for(command, role) if p.permissive]
        texts = [p.check or p.using if command == "insert" else p.using for p in permissive]
        return any(text is not None and self._says_nothing(_told(table, text)) for text in texts)

    def published(self, table: Table, role: str) -> list[str]:
        """Return the SELECT policies of ``role`` that look only at the row's own flags and words.

        ``is_public`` and ``status = 'live'`` open a row to everybody, by its owner's choice.
        """
        columns = {c.name for c in table.columns}
        found = []
        for policy in table.policies_for("select", role):
            text = _LITERAL.sub("", _told(table, policy.using or ""))
            words = self.words(re.sub(r"::[\w.\[\]\" ]+", "", text))
            if policy.permissive and words & columns and words - columns <= _CONSTANT:
                found.append(policy.using or "")
        return found

    def _says_nothing(self, text: str) -> bool:
        words = {w.lower() for w in self.words(_LITERAL.sub("", text))}
        return words <= _SESSION and set(literals(text)) <= {"authenticated", "anon"}

    @cached_property
    def by_table(self) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
        """What the policies of each table reach."""
        return {t.key: self.reach(self.policy_text(t)) for t in self.catalog.tables.values()}

    @cached_property
    def authority(self) -> dict[str, int]:
        """How many *other* tables' policies read each table to decide."""
        count: dict[str, int] = defaultdict(int)
        for key, (tables, _) in self.by_table.items():
            for other in tables:
                if other != key:
                    count[other] += 1
        return dict(count)

    @cached_property
    def feeds(self) -> dict[str, dict[str, bool]]:
        """The tables that triggers of each table fill, that policies read and no client fills.

        They keep ready what the policies would otherwise have to work out. True where the triggers
        take rows out again as well.
        """
        found: dict[str, dict[str, bool]] = {}
        for table in self.catalog.tables.values():
            for trigger in table.triggers:
                for key, ends in self._filled_by(f"{trigger.function}()").items():
                    if key != table.key:
                        fed = found.setdefault(table.key, {})
                        fed[key] = fed.get(key, False) or ends
        return found

    def _filled_by(self, function: str) -> dict[str, bool]:
        """Return the tables that a trigger function fills, and whether it empties them as well."""
        if function not in self._filled:
            body = self.catalog.functions.get(function)
            text = self.closure_text(body.source) if body else ""
            asked = [self.catalog.tables[k] for k in self.direct(text)[0] & self.authority.keys()]
            self._filled[function] = {
                t.key: _does("delete", text, t)
                for t in asked
                if t.is_base
                and not any(t.can(role, "INSERT") for role in self.catalog.roles)
                and _does("insert", text, t)
            }
        return self._filled[function]

    def consulted(self, table: Table) -> frozenset[str]:
        """Return the columns of ``table`` that other tables' policies name when they read it.

        Conservative: a word of the same spelling counts, whatever it belongs to.
        """
        if table.key not in self._consulted:
            columns = frozenset(c.name for c in table.columns)
            found: set[str] = set()
            for key, (tables, _) in self.by_table.items():
                if key != table.key and table.key in tables:
                    policies = self.policy_text(self.catalog.tables[key])
                    found |= self.words(self.closure_text(policies)) & columns
            self._consulted[table.key] = frozenset(found)
        return self._consulted[table.key]

    @cached_property
    def helpers(self) -> frozenset[str]:
        """The functions that some policy calls, directly or not."""
        return frozenset(f for _, functions in self.by_table.values() for f in functions)

    def closure_text(self, text: str) -> str:
        """Return ``text`` with the bodies of every function it reaches appended."""
        _, functions = self.reach(text)
        return "\n".join([text, *(self.catalog.functions[f].source for f in sorted(functions))])

    @cached_property
    def everything(self) -> str:
        """All policy expressions and function bodies, for a search of keys and settings."""
        parts = [self.policy_text(t) for t in self.catalog.tables.values()]
        parts += [self.policy_text(t) for t in self.catalog.platform.values()]
        parts += [f.source for f in self.catalog.functions.values()]
        parts += [t.definition or "" for t in self.catalog.tables.values() if t.kind == "view"]
        return "\n".join(parts)
