"""The Python client through PostgREST: every CRM object, and the foreign attempt of each."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from fix_api import ALDER, BIRCH, MIKA, OLGA, OTTO, VERA, Api, Person

from harmonia_py import errors
from harmonia_py.client import AsyncHarmonia, Harmonia
from harmonia_py.client.synchronous import Records


def crm(api: Api, person: Person, organization: str = ALDER) -> Harmonia:
    session = Harmonia(
        "http://127.0.0.1:1", "anon-key", access_token=api.token(person), rest_url=api.url
    )
    session.use(organization)
    return session


OBJECTS: dict[str, dict[str, Any]] = {
    "companies": {"name": "Oak Ltd", "domain": "oak.example"},
    "contacts": {"first_name": "Ada", "email": "ada@oak.example"},
    "deals": {"name": "Big one", "amount_minor": 125_000},
    "activities": {"kind": "note", "subject": "Call back", "body_html": "<p>a<script>x</script>"},
    "conversations": {"channel": "email", "subject": "Hello"},
    "tags": {"name": "vip-e2e"},
    "pipelines": {"name": "Second pipeline"},
}
CHANGES: dict[str, tuple[str, Any]] = {
    "companies": ("name", "Elm Ltd"),
    "contacts": ("first_name", "Eda"),
    "deals": ("name", "Bigger one"),
    "activities": ("subject", "Called back"),
    "conversations": ("subject", "Good bye"),
    "tags": ("name", "vip-e2e-2"),
    "pipelines": ("name", "Third pipeline"),
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_each_object_is_created_listed_changed_and_deleted_by_its_own_tenant_only(
    api: Api, kind: str
) -> None:
    with crm(api, OLGA) as olga, crm(api, OTTO) as intruder, crm(api, OTTO, BIRCH) as otto:
        mine, foreign = getattr(olga, kind), getattr(intruder, kind)
        made = mine.create(**OBJECTS[kind])
        assert str(made.organization_id) == ALDER
        assert mine.get(made.id) == made
        field, value = CHANGES[kind]
        page = mine.page(limit=5, order=f"{field}.asc", count=True, **{field: OBJECTS[kind][field]})
        assert [item.id for item in page] == [made.id]
        assert page.total == mine.count(**{field: OBJECTS[kind][field]}) == 1
        # Birch's owner names the very record, in both organizations.
        for records in (foreign, getattr(otto, kind)):
            with pytest.raises(errors.ApiNotFound):
                records.get(made.id)
            with pytest.raises(errors.ApiNotFound):
                records.update(made.id, **{field: value})
            with pytest.raises(errors.ApiNotFound):
                records.delete(made.id)
        assert len(foreign.page()) == 0
        with pytest.raises(errors.PermissionDenied):
            foreign.create(**OBJECTS[kind])
        assert getattr(mine.update(made.id, **{field: value}), field) == value
        assert mine.delete(made.id).id == made.id
        with pytest.raises(errors.ApiNotFound):
            mine.get(made.id)


def test_the_client_has_every_object_the_tests_try() -> None:
    """A record kind that is added to the client has to be added to the tests."""
    with Harmonia("http://127.0.0.1:1", "anon", rest_url="http://127.0.0.1:1") as nobody:
        kinds = {name for name, value in vars(nobody).items() if isinstance(value, Records)}
    assert kinds == {*OBJECTS, "messages", "call_transcripts", "pipeline_stages", "files"}


def test_children_are_listed_changed_and_deleted_by_their_own_tenant_only(api: Api) -> None:
    with crm(api, OLGA) as olga, crm(api, OTTO) as intruder, crm(api, OTTO, BIRCH) as otto:
        thread = olga.conversations.create(channel="chat", subject="y")
        call = olga.activities.create(kind="call", subject="y")
        pipeline = olga.pipelines.create(name="Q")
        file_id = uuid4()
        made: dict[str, tuple[Any, str | None, Any]] = {
            "messages": (
                olga.messages.create(
                    conversation_id=thread.id, direction="inbound", body_text="words"
                ),
                None,
                None,
            ),
            "call_transcripts": (
                olga.call_transcripts.create(activity_id=call.id, content_html="<p>said</p>"),
                "language",
                "de",
            ),
            "pipeline_stages": (
                olga.pipeline_stages.create(pipeline_id=pipeline.id, name="S"),
                "name",
                "T",
            ),
            "files": (
                olga.files.create(id=file_id, path=f"{ALDER}/{file_id}/a.pdf", name="a.pdf"),
                "name",
                "b.pdf",
            ),
        }
        for kind, (record, field, value) in made.items():
            mine = getattr(olga, kind)
            assert mine.get(record.id) == record
            assert mine.count(id=record.id) == mine.page(count=True, id=record.id).total == 1
            for records in (getattr(intruder, kind), getattr(otto, kind)):
                assert records.count(id=record.id) == 0
                for attempt in (records.get, records.delete):
                    with pytest.raises(errors.ApiNotFound):
                        attempt(record.id)
                if field is not None:
                    with pytest.raises(errors.ApiNotFound):
                        records.update(record.id, **{field: value})
            if field is not None:
                assert getattr(mine.update(record.id, **{field: value}), field) == value
            assert mine.delete(record.id).id == record.id
            assert mine.count(id=record.id) == 0


def test_children_messages_transcripts_and_stages(api: Api) -> None:
    with crm(api, OLGA) as olga, crm(api, OTTO, BIRCH) as otto:
        thread = olga.conversations.create(channel="chat", subject="x")
        message = olga.messages.create(
            conversation_id=thread.id, direction="inbound", body_html="<b onclick=x>hi</b>"
        )
        assert message.body_html == "<b>hi</b>"
        call = olga.activities.create(kind="call", subject="x")
        transcript = olga.call_transcripts.create(activity_id=call.id, content_html="<p>said")
        assert transcript.content_html == "<p>said</p>"
        pipeline = olga.pipelines.create(name="P")
        stage = olga.pipeline_stages.create(pipeline_id=pipeline.id, name="S")
        for records, fields in (
            (
                otto.messages,
                {"conversation_id": thread.id, "direction": "inbound", "body_text": "x"},
            ),
            (otto.call_transcripts, {"activity_id": call.id, "content_html": "x"}),
            (otto.pipeline_stages, {"pipeline_id": pipeline.id, "name": "S"}),
            (otto.deals, {"name": "x", "pipeline_id": pipeline.id, "stage_id": stage.id}),
            (otto.contacts, {"first_name": "x", "company_id": uuid4()}),
        ):
            with pytest.raises((errors.ApiConflict, errors.PermissionDenied)):
                records.create(**fields)


def test_merging_searching_and_the_bin(api: Api) -> None:
    with crm(api, OLGA) as olga, crm(api, OTTO, BIRCH) as otto:
        one = olga.contacts.create(first_name="Zarathustra", email="z1@x.example")
        two = olga.contacts.create(first_name="Zarathustra", phone="+4930123456")
        found = olga.rpc(
            "search_contacts", organization_id=olga.organization_id, query="zarathustra"
        )
        assert len(found) == 2
        for person, organization in ((otto, ALDER), (otto, BIRCH)):
            try:
                rows = person.rpc(
                    "search_contacts", organization_id=organization, query="zarathustra"
                )
            except errors.PermissionDenied:
                continue
            assert rows == []
        arguments = {"survivor_id": one.id, "merged_id": two.id}
        with pytest.raises(errors.ApiError) as refused:
            otto.rpc("merge_contacts", organization_id=BIRCH, **arguments)
        assert isinstance(refused.value, errors.ApiNotFound | errors.PermissionDenied)
        olga.rpc("merge_contacts", organization_id=ALDER, **arguments)
        assert olga.contacts.get(one.id).phone == "+4930123456"
        with pytest.raises(errors.ApiError):
            otto.rpc("soft_delete", organization_id=ALDER, object="contact", ids=[one.id])
        olga.rpc("soft_delete", organization_id=ALDER, object="contact", ids=[one.id])
        assert olga.contacts.count(first_name="Zarathustra") == 0
        assert olga.contacts.count(first_name="Zarathustra", deleted_at__not_null=True) >= 1


def test_a_denied_write_is_an_error_and_not_silence(api: Api) -> None:
    with crm(api, OLGA) as olga, crm(api, VERA) as vera:
        made = olga.contacts.create(first_name="Still")
        assert vera.contacts.get(made.id).first_name == "Still"
        with pytest.raises(errors.ApiNotFound):
            vera.contacts.update(made.id, first_name="Moved")
        with pytest.raises(errors.ApiNotFound):
            vera.contacts.delete(made.id)
        with pytest.raises(errors.PermissionDenied):
            vera.contacts.create(first_name="New")


def test_errors_name_the_field(api: Api) -> None:
    with crm(api, MIKA) as mika:
        for fields, field in (
            ({"first_name": "x", "email": "nobody"}, "email"),
            ({"first_name": "x", "website_url": "javascript:alert(1)"}, "website_url"),
            ({"first_name": "x", "nickname": "y"}, "nickname"),
        ):
            with pytest.raises(errors.ApiInvalid) as invalid:
                mika.contacts.create(**fields)
            assert invalid.value.field == field


def test_pages_neither_repeat_nor_skip(api: Api) -> None:
    with crm(api, OLGA) as olga:
        made = {olga.tags.create(name=f"page-{n:02}").id for n in range(23)}
        seen = [tag.id for tag in olga.tags.all(page_size=7, name__like="page-*")]
        assert len(seen) == len(set(seen)) == 23
        assert set(seen) == made
        with pytest.raises(errors.UsageError):
            olga.tags.page(limit=0)
        with pytest.raises(errors.UsageError):
            olga.tags.page(name__regexp="x")


def test_an_api_key_speaks_through_the_client(api: Api) -> None:
    with crm(api, OLGA) as olga:
        key = olga.rpc(
            "create_api_key",
            organization_id=ALDER,
            name="client",
            permissions=["contacts.read"],
        )[0]["api_key"]
    with Harmonia("http://127.0.0.1:1", "anon", rest_url=api.url) as nobody:
        token = nobody.exchange_api_key(key)
    with Harmonia("http://127.0.0.1:1", "anon", rest_url=api.url, api_token=token) as machine:
        machine.use(ALDER)
        assert machine.contacts.page(limit=1).items
        with pytest.raises(errors.ApiError):
            machine.contacts.create(first_name="x")


def test_who_does_not_answer_is_unavailable() -> None:
    with Harmonia("http://127.0.0.1:1", "anon", rest_url="http://127.0.0.1:1") as nobody:
        with pytest.raises(errors.ApiUnavailable):
            nobody.organizations()
        with pytest.raises(errors.UsageError):
            nobody.contacts.page()


async def test_the_asynchronous_client_does_the_same(api: Api) -> None:
    async with AsyncHarmonia(
        "http://127.0.0.1:1", "anon", access_token=api.token(OLGA), rest_url=api.url
    ) as olga:
        assert {str(item.id) for item in await olga.organizations()} >= {ALDER}
        olga.use(ALDER)
        made = await olga.contacts.create(first_name="Async")
        assert (await olga.contacts.update(made.id, first_name="Done")).first_name == "Done"
        assert [item.id async for item in olga.contacts.all(first_name="Done")] == [made.id]
        await olga.contacts.delete(made.id)
        with pytest.raises(errors.ApiNotFound):
            await olga.contacts.get(made.id)
