"""What policies ask of the caller's token and of settings."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from harmonia_py.isolation.catalog import Catalog
from harmonia_py.isolation.infer.callers import only_uid
from harmonia_py.isolation.infer.keyed import calls_with, kept_apart, keyed, whole, words_of
from harmonia_py.isolation.infer.paths import paths_to_tenants, tenant_column_names
from harmonia_py.isolation.references import References, literals

__all__ = [
    "SETTING",
    "builtin_setting",
    "claimed_column",
    "claims_in",
    "compared_with_columns",
    "token_decides",
    "token_roles",
]

#: The token as a document: by the platform's function, or as PostgREST leaves it in a setting.
_DOCUMENT = (
    r"(?:jwt\(\)|current_setting\(\s*'request\.jwt\.claims'(?:::\w+)?\s*(?:,\s*\w+\s*)?\)"
    r"(?:\s*,\s*'[^']*'(?:::\w+)?\s*\))?)(?:[\s)]*::jsonb?)?"
)
_CLAIM = re.compile(
    _DOCUMENT + r"(?:\s+AS\s+\w+)?\s*\)*((?:\s*(?:->>?|#>>?)\s*'[^']*'(?:::\w+(?:\[\])?)?\)*)+)",
    re.I,
)
#: A yes or a no names no tenant: it is cast to a boolean, or compared with the word for one.
_FLAG = re.compile(
    r"[\s)]*(?:::\w+[\s)]*)*(?:::bool(?:ean)?\b"
    r"|(?:=|<>|is\s+(?:not\s+)?distinct\s+from)\s*\(?'(?:true|false|t|f|yes|no)')",
    re.I,
)
#: What is done to a document that holds several values: it is taken apart, or looked into.
_TAKEN_APART = re.compile(r"array_elements(?:_text)?\s*(?=\()", re.I)
_LISTED_AFTER = re.compile(
    r"[\s)]*(?:,\s*'[^']*'(?:::\w+)?[\s)]*)?(?:::jsonb?[\s)]*)?(?:\?[|&]?|@>)", re.I
)
SETTING = re.compile(r"current_setting\(\s*'([\w.]+)'", re.I)


def builtin_setting(name: str) -> bool:
    """Whether a setting is one that PostgreSQL, PostgREST or Supabase gives a meaning to."""
    return "." not in name or name.startswith(("request.", "realtime.", "storage.", "pgrst."))


def claims_in(text: str) -> dict[str, str]:
    """Claim path (dotted) -> what it seems to hold: tenant, tenants, role, roles or empty."""
    out: dict[str, str] = {}
    uses: dict[str, int] = {}
    for match in _CLAIM.finditer(text):
        keys = [k for k in literals(match.group(1)) if k]
        path = ".".join(k.strip("{}").replace(",", ".") for k in keys)
        if whole(path) or _FLAG.match(text, match.end()):
            continue
        if path and path.split(".")[0] not in (
            "sub",
            "role",
            "email",
            "aal",
            "is_anonymous",
            "session_id",
            "amr",
            "exp",
            "iat",
            "iss",
            "aud",
            "phone",
        ):
            by_tenant = keyed(text, path, match.start(), match.end())
            if by_tenant is not None:
                out[by_tenant[0]] = by_tenant[1]
                continue
            listed = _lists(text, match) or out.get(path) == "tenants"
            named = "tenants" if listed else "tenant"
            out[path] = "role" if "role" in path.split(".")[-1].lower() else named
            uses[path] = uses.get(path, 0) + 1
    return kept_apart({p: what for p, what in out.items() if ".*" in p or not _misspelt(p, uses)})


def _lists(text: str, match: re.Match[str]) -> bool:
    """Whether a claim is read as a document of which several values are taken."""
    if match[1].rstrip(" )").rpartition("->")[2].startswith(">"):
        return False  # read as text
    before = text[max(0, match.start() - 300) : match.start()]
    for call in _TAKEN_APART.finditer(before):
        inside = before[call.end() :]
        if inside.count("(") > inside.count(")"):
            return True
    return bool(_LISTED_AFTER.match(text, match.end()))


def _misspelt(path: str, uses: dict[str, int]) -> bool:
    """Whether another claim of nearly the same name is asked for far more often.

    No token holds both; whatever asks for the rare one asks for nothing.
    """
    parent, _, name = path.rpartition(".")
    for other, count in uses.items():
        above, _, common = other.rpartition(".")
        if other == path or above != parent or count < 3 * uses[path]:
            continue
        if SequenceMatcher(None, _bare(name), _bare(common)).ratio() > 0.85:
            return True
    return False


def _bare(name: str) -> str:
    return re.sub(r"[_-]", "", name).lower()


def token_roles(refs: References, claims: dict[str, str]) -> tuple[str, ...]:
    """Collect the texts that policies compare with a role claim, those they name most first.

    The claim may be behind a helper. One more role, which no policy names, comes last.
    """
    last = {p.split(".")[-1] for p, what in claims.items() if what in ("role", "roles")}
    if not last:
        return ()
    by_tenant = {path for path in claims if ".*" in path}
    last = last - {"*"}
    catalog = refs.catalog
    names = [re.escape(f"'{key}'") for key in last]
    names += [
        rf"\b{re.escape(f.name)}\(\)"
        for f in catalog.functions.values()
        if not f.arguments and any(f"'{key}'" in f.source for key in last)
    ]
    any_name = "|".join(names) or "(?!)"
    compared = re.compile(
        rf"(?:{any_name})(?:\s+AS\s+\w+)?[\s)]*(?:::\w+)?[\s)]*(?:=|<>|IN)\s*(?:ANY\s*)?"
        r"(\(*(?:ARRAY\[)?\s*'[^']*'(?:::\w+)?(?:\s*,\s*'[^']*'(?:::\w+)?)*)",
        re.I,
    )
    votes: dict[str, int] = {}
    for match in compared.finditer(refs.everything):
        for value in literals(match.group(1)):
            votes[value] = votes.get(value, 0) + 1
    if by_tenant:
        ends = [m.end() for m in _CLAIM.finditer(refs.everything)]
        for value in words_of(refs, ends, calls_with(refs, by_tenant)):
            votes[value] = votes.get(value, 0) + 1
    roles = sorted(votes, key=lambda value: -votes[value])[:8]
    return (*roles, "member") if roles and "member" not in roles else tuple(roles)


def claimed_column(catalog: Catalog, refs: References) -> tuple[str | None, str | None, int]:
    """Find the column policies compare with a claim or a setting, and the table it points at.

    Also returns how many tables' policies do so.
    """
    votes: dict[str, int] = {}
    for table in catalog.tables.values():
        text = refs.plain(refs.policy_text(table))
        claims = claims_in(refs.closure_text(text))
        if not (claims or SETTING.search(text)):
            continue
        taking = "|".join(map(re.escape, calls_with(refs, set(claims))))
        for column in table.columns:
            if column.category not in "UNS" or column.name in table.primary_key:
                continue
            name = re.escape(column.name)
            pattern = rf"\b{name}\)?(?:::\w+)?\)?\s*(?:=|<@|IN)|(?:=|ANY)\s*\(*(?:\w+\.)?{name}\b"
            if any(".*" in path for path in claims):
                pattern += rf"|(?:->>?|\?)\s*\(*(?:\w+\.)?{name}\b"
                pattern += rf"|\b(?:{taking})\"?\([^()]*\b{name}\b" if taking else ""
            if re.search(pattern, text) and not only_uid(text, column.name):
                votes[column.name] = votes.get(column.name, 0) + 1
    if not votes:
        return None, None, 0
    best = max(votes, key=lambda name: votes[name])
    for table in catalog.tables.values():
        for fk in table.foreign_keys:
            if fk.columns == (best,) and not fk.target.startswith("auth."):
                return best, fk.target, votes[best]
    return best, None, votes[best]


_COLUMN_BEFORE = re.compile(
    r"(?<![':\w.])(?:\w+\.)*\w+\)*(?:::\w+)?\s*(?:=|IN)\s*(?:ANY\s*)?[\s(]*(?:SELECT\s+)?[\s(]*"
    r"(?:auth\.)?$",
    re.I,
)
_COLUMN_AFTER = re.compile(
    r"(?:\s+AS\s+\w+)?[\s)]*(?:::\w+(?:\[\])?[\s)]*)*(?:=|<@|@>)\s*(?:ANY\s*)?[\s(]*[a-z_]", re.I
)


def compared_with_columns(text: str) -> bool:
    """Whether a custom claim stands beside a column: it names a row, not a right."""
    if any(".*" in path for path in claims_in(text)):
        return True
    return any(
        _COLUMN_BEFORE.search(text[: match.start()][-80:]) or _COLUMN_AFTER.match(text, match.end())
        for match in _CLAIM.finditer(text)
        if claims_in(match[0])
    )


def token_decides(
    catalog: Catalog, refs: References, claims: dict[str, str], group: str, members: str
) -> bool:
    """Whether a claim names the tenant of more tables than the people of ``group`` reach.

    Those who share a conversation are then no tenant, though a table lists them.
    """
    if not {"tenant", "tenants"} & set(claims.values()):
        return False
    column, root, votes = claimed_column(catalog, refs)
    if column is None or root in (None, group) or catalog.tables[members].has(column):
        return False
    paths = paths_to_tenants(catalog, refs, group, tenant_column_names(catalog, group), None)
    reached = {key for key, (_, required) in paths.items() if required}
    above = paths_to_tenants(catalog, refs, root, {column}, None)
    theirs = {key for key, (_, required) in above.items() if required}
    return members not in theirs and votes > 0 and len(theirs) > len(reached)
