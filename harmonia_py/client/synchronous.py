"""The client without ``await``.

Derived from ``asynchronous.py`` by ``harmonia reference``; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

import httpx
from postgrest.exceptions import APIError

from harmonia_py.client import models, problems, request
from harmonia_py.client.page import Page
from harmonia_py.errors import ApiUnavailable, UsageError
from supabase import Client, ClientOptions

__all__ = ["Harmonia", "Records"]

R = TypeVar("R", bound=models.Record)


class Harmonia:
    """A session with one Harmonia server.

    ``url`` and ``key`` are the project's URL and anon (publishable) key. ``access_token`` speaks
    for a user without signing in here; ``api_token`` is what :meth:`exchange_api_key` returned.
    ``rest_url`` is needed only for a bare PostgREST, such as that of ``harmonia up``.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        access_token: str | None = None,
        api_token: str | None = None,
        rest_url: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        """Open the session; nothing is sent yet. ``timeout`` is in seconds.

        Raises :class:`harmonia_py.errors.UsageError` for a key or token that no header can hold.
        """
        request.check_tokens(key=key, access_token=access_token, api_token=api_token)
        self._http = httpx.Client(timeout=timeout, http2=False)
        options = ClientOptions(httpx_client=self._http, auto_refresh_token=False)
        if access_token:
            options.headers["Authorization"] = f"Bearer {access_token}"
        if api_token:
            options.headers["x-harmonia-token"] = api_token
            options.headers.setdefault("Authorization", f"Bearer {key}")
        self.supabase = Client(url, key, options)
        if access_token:
            self.supabase.options.headers["Authorization"] = f"Bearer {access_token}"
        elif rest_url:
            # A bare PostgREST takes no anon key: without a token it is the role anon.
            self.supabase.options.headers.pop("Authorization", None)
        if rest_url:
            self.supabase.rest_url = type(self.supabase.rest_url)(rest_url)
        self._organization: str | None = None
        self.activities = Records(self, "activities", models.Activity)
        self.call_transcripts = Records(self, "call_transcripts", models.CallTranscript)
        self.companies = Records(self, "companies", models.Company)
        self.contacts = Records(self, "contacts", models.Contact)
        self.conversations = Records(self, "conversations", models.Conversation)
        self.deals = Records(self, "deals", models.Deal)
        self.files = Records(self, "files", models.File)
        self.messages = Records(self, "messages", models.Message)
        self.pipelines = Records(self, "pipelines", models.Pipeline)
        self.pipeline_stages = Records(self, "pipeline_stages", models.PipelineStage)
        self.tags = Records(self, "tags", models.Tag)

    def __enter__(self) -> Harmonia:
        """Return the session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connections. Harmless when repeated."""
        self._http.close()

    @property
    def organization_id(self) -> str:
        """The organization that records are read from and written to."""
        if self._organization is None:
            raise UsageError("no organization is chosen", hint="call use(organization_id) first")
        return self._organization

    def use(self, organization_id: UUID | str) -> None:
        """Choose the organization to work in. What one may do there the server decides."""
        self._organization = str(UUID(str(organization_id)))

    def organizations(self) -> list[models.Organization]:
        """Return the organizations the caller belongs to."""
        answer = self.send(self.supabase.table("organizations").select("*").order("name"))
        return [models.Organization.model_validate(row) for row in request.rows(answer.data)]

    def sign_in(self, email: str, password: str) -> None:
        """Sign in with a password (aal1). Raises what Supabase Auth raises."""
        self.supabase.auth.sign_in_with_password({"email": email, "password": password})

    def sign_in_url(self, provider: str, redirect_to: str) -> str:
        """Return where to send a browser to sign in with ``google`` or another provider."""
        answer = self.supabase.auth.sign_in_with_oauth(
            cast(Any, {"provider": provider, "options": {"redirect_to": redirect_to}})
        )
        return str(answer.url)

    def verify_totp(self, factor_id: str, code: str) -> None:
        """Answer a challenge of the second factor; the session is then at aal2."""
        self.supabase.auth.mfa.challenge_and_verify({"factor_id": factor_id, "code": code})

    def sign_out(self) -> None:
        """End the session."""
        self.supabase.auth.sign_out()

    def rpc(self, name: str, /, **arguments: Any) -> Any:
        """Call a function with named arguments and return what it returns.

        Functions of an organization take it as ``organization_id=crm.organization_id``.
        """
        given = {key: request.plain(value) for key, value in arguments.items()}
        return (self.send(self.supabase.rpc(name, given))).data

    def exchange_api_key(self, api_key: str) -> str:
        """Return a token of fifteen minutes for an API key."""
        rows = self.rpc("exchange_api_key", api_key=api_key)
        return str(rows[0]["token"])

    def send(self, query: Any) -> Any:
        """Run a supabase-py query; every refusal is an :class:`harmonia_py.errors.ApiError`."""
        try:
            return query.execute()
        except APIError as error:
            raise problems.from_answer(error.json()) from None
        except httpx.HTTPError as error:
            raise ApiUnavailable(
                f"the server did not answer ({type(error).__name__})", server_code="no_answer"
            ) from None


class Records(Generic[R]):
    """The records of one kind in the chosen organization."""

    def __init__(self, session: Harmonia, table: str, model: type[R]) -> None:
        """Name the table and its model."""
        self._session = session
        self._table = table
        self._model = model

    def page(
        self,
        *,
        limit: int = 50,
        offset: int = 0,
        order: str | None = None,
        count: bool = False,
        **filters: Any,
    ) -> Page[R]:
        """Return ``limit`` records from ``offset``: ``page(status="lead", name__ilike="a*")``.

        ``count=True`` also asks how many there are in all. Records in the bin are left out
        unless ``deleted_at`` is among the filters.
        """
        if not 1 <= limit <= request.MAX_PAGE:
            raise UsageError(f"a page has 1 to {request.MAX_PAGE} records")
        if offset < 0:
            raise UsageError("a page begins at record 0 or later")
        query = self._select("*", filters, count=count)
        query = request.apply_order(query, order).range(offset, offset + limit - 1)
        answer = self._session.send(query)
        items = [self._model.model_validate(row) for row in request.rows(answer.data)]
        return Page(items, offset, answer.count if count else None)

    def all(
        self,
        *,
        page_size: int = 500,
        order: str | None = None,
        **filters: Any,
    ) -> Iterator[R]:
        """Iterate over every record, page by page."""
        offset = 0
        while True:
            page = self.page(limit=page_size, offset=offset, order=order, **filters)
            yield from page
            # Not where a page is short: the server may return fewer rows than asked for.
            if not len(page):
                return
            offset += len(page)

    def count(self, **filters: Any) -> int:
        """Return how many records there are."""
        answer = self._session.send(self._select("id", filters, count=True).limit(1))
        return int(answer.count or 0)

    def get(self, record_id: UUID | str) -> R:
        """Return one record, or raise ``ApiNotFound``."""
        query = self._session.supabase.table(self._table).select("*")
        return self._one(self._session.send(self._only(query, record_id)))

    def create(self, **fields: Any) -> R:
        """Create a record in the chosen organization and return it as stored."""
        row = {"organization_id": self._session.organization_id, **request.body(fields)}
        query = self._session.supabase.table(self._table).insert(row)
        return self._one(self._session.send(query))

    def update(self, record_id: UUID | str, **fields: Any) -> R:
        """Change a record and return it; ``ApiNotFound`` when nothing may be changed."""
        query = self._session.supabase.table(self._table).update(request.body(fields))
        return self._one(self._session.send(self._only(query, record_id)))

    def delete(self, record_id: UUID | str) -> R:
        """Delete a record for good and return it; ``ApiNotFound`` when it may not be deleted.

        ``rpc("soft_delete", ...)`` moves records to the bin instead.
        """
        query = self._session.supabase.table(self._table).delete()
        return self._one(self._session.send(self._only(query, record_id)))

    def _only(self, query: Any, record_id: UUID | str) -> Any:
        organization_id = self._session.organization_id
        return query.eq("organization_id", organization_id).eq("id", str(UUID(str(record_id))))

    def _select(self, columns: str, filters: Mapping[str, Any], *, count: bool) -> Any:
        table = self._session.supabase.table(self._table)
        query: Any = table.select(columns, count=cast(Any, "exact") if count else None)
        query = query.eq("organization_id", self._session.organization_id)
        if "deleted_at" in self._model.model_fields and not any(
            key.startswith("deleted_at") for key in filters
        ):
            query = query.is_("deleted_at", "null")
        return request.apply_filters(query, filters)

    def _one(self, answer: Any) -> R:
        rows = request.rows(answer.data)
        if len(rows) != 1:
            raise problems.not_there()
        return self._model.model_validate(rows[0])
