"""One class per object, as the database returns it.

Generated from the catalog by ``harmonia reference``; do not edit.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict

__all__ = [
    "Activity",
    "CallTranscript",
    "Company",
    "Contact",
    "Conversation",
    "CustomFieldDefinition",
    "Deal",
    "DealContact",
    "DealStageChange",
    "ExportJob",
    "File",
    "ImportJob",
    "ImportRow",
    "Invitation",
    "Membership",
    "Message",
    "Organization",
    "Pipeline",
    "PipelineStage",
    "Profile",
    "Record",
    "Role",
    "Tag",
    "Team",
]

Json: TypeAlias = Any


class Record(BaseModel):
    """What every object has in common: unknown columns of a newer server are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Activity(Record):
    """What was done or is to be done: tasks, notes, calls and meetings."""

    organization_id: UUID
    id: UUID
    kind: Literal["task", "note", "call", "meeting"]
    status: Literal["open", "done", "cancelled"]
    priority: Literal["low", "normal", "high"]
    subject: str
    body_html: str | None = None
    due_at: datetime | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    completed_at: datetime | None = None
    completed_by: UUID | None = None
    direction: Literal["inbound", "outbound"] | None = None
    outcome: str | None = None
    duration_seconds: int | None = None
    location: str | None = None
    meeting_url: str | None = None
    company_id: UUID | None = None
    contact_id: UUID | None = None
    deal_id: UUID | None = None
    custom_fields: Json
    owner_id: UUID | None = None
    team_id: UUID | None = None
    created_by: UUID | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class CallTranscript(Record):
    """What was said in a call or meeting."""

    organization_id: UUID
    id: UUID
    activity_id: UUID
    language: str | None = None
    provider: str | None = None
    content_html: str
    summary_html: str | None = None
    created_by: UUID | None = None
    created_at: datetime
    updated_at: datetime
    owner_id: UUID | None = None
    team_id: UUID | None = None


class Company(Record):
    """An organization one does business with."""

    organization_id: UUID
    id: UUID
    name: str
    status: Literal["prospect", "customer", "partner", "supplier", "former"]
    domain: str | None = None
    website_url: str | None = None
    industry: str | None = None
    email: str | None = None
    phone: str | None = None
    employee_count: int | None = None
    description: str | None = None
    street: str | None = None
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str | None = None
    custom_fields: Json
    owner_id: UUID | None = None
    team_id: UUID | None = None
    created_by: UUID | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class Contact(Record):
    """A person one does business with."""

    organization_id: UUID
    id: UUID
    company_id: UUID | None = None
    first_name: str | None = None
    last_name: str | None = None
    full_name: str
    email: str | None = None
    phone: str | None = None
    job_title: str | None = None
    status: Literal["lead", "qualified", "customer", "inactive"]
    source: str | None = None
    website_url: str | None = None
    description: str | None = None
    city: str | None = None
    country: str | None = None
    do_not_contact: bool
    custom_fields: Json
    owner_id: UUID | None = None
    team_id: UUID | None = None
    created_by: UUID | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class Conversation(Record):
    """A thread of messages with somebody outside."""

    organization_id: UUID
    id: UUID
    channel: Literal["email", "sms", "chat", "whatsapp", "phone", "other"]
    subject: str | None = None
    status: Literal["open", "pending", "closed"]
    external_id: str | None = None
    company_id: UUID | None = None
    contact_id: UUID | None = None
    deal_id: UUID | None = None
    last_message_at: datetime | None = None
    owner_id: UUID | None = None
    team_id: UUID | None = None
    created_by: UUID | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class CustomFieldDefinition(Record):
    """Which custom fields companies, contacts, deals and activities have in an organization."""

    organization_id: UUID
    id: UUID
    object: Literal["company", "contact", "deal", "activity"]
    key: str
    label: str
    type: Literal["select", "multi_select"]
    required: bool
    options: Json | None = None
    position: int
    archived_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class DealContact(Record):
    """Who takes part in a deal, and as what."""

    organization_id: UUID
    deal_id: UUID
    contact_id: UUID
    role: Literal["decision_maker", "champion", "influencer", "user", "other"]
    created_by: UUID | None = None
    created_at: datetime
    owner_id: UUID | None = None
    team_id: UUID | None = None


class DealStageChange(Record):
    """Every stage a deal has been in. Written by the database alone."""

    organization_id: UUID
    id: UUID
    deal_id: UUID
    from_stage_id: UUID | None = None
    to_stage_id: UUID | None = None
    status: Literal["open", "won", "lost"]
    amount_minor: int
    currency: str
    seconds_in_stage: int | None = None
    moved_by: UUID | None = None
    moved_at: datetime
    owner_id: UUID | None = None
    team_id: UUID | None = None


class Deal(Record):
    """A sale in the making."""

    organization_id: UUID
    id: UUID
    pipeline_id: UUID
    stage_id: UUID
    company_id: UUID | None = None
    name: str
    status: Literal["open", "won", "lost"]
    amount_minor: int
    currency: str
    expected_close_on: date | None = None
    stage_entered_at: datetime
    closed_at: datetime | None = None
    lost_reason: str | None = None
    description: str | None = None
    custom_fields: Json
    owner_id: UUID | None = None
    team_id: UUID | None = None
    created_by: UUID | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class ExportJob(Record):
    """Data taken out in bulk: what, by whom, until when."""

    organization_id: UUID
    id: UUID
    object: Literal["company", "contact", "deal", "activity", "conversation", "everything"]
    format: Literal["csv", "json"]
    filter: Json
    status: Literal["queued", "running", "done", "failed", "cancelled", "expired"]
    file_id: UUID | None = None
    row_count: int | None = None
    error: str | None = None
    created_by: UUID | None = None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    expires_at: datetime


class File(Record):
    """Describes an object in storage, under <organization_id>/<id>/ in the bucket crm."""

    organization_id: UUID
    id: UUID
    bucket: str
    path: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str | None = None
    company_id: UUID | None = None
    contact_id: UUID | None = None
    deal_id: UUID | None = None
    activity_id: UUID | None = None
    owner_id: UUID | None = None
    team_id: UUID | None = None
    created_by: UUID | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class ImportJob(Record):
    """A file of records to be taken in."""

    organization_id: UUID
    id: UUID
    object: Literal["company", "contact", "deal", "activity"]
    status: Literal["draft", "queued", "running", "done", "failed", "cancelled"]
    file_id: UUID | None = None
    mapping: Json
    total_rows: int
    imported_rows: int
    failed_rows: int
    error: str | None = None
    created_by: UUID | None = None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ImportRow(Record):
    """One row of an import, and what became of it."""

    organization_id: UUID
    import_job_id: UUID
    row_number: int
    status: Literal["pending", "imported", "skipped", "failed"]
    data: Json
    record_id: UUID | None = None
    error_code: str | None = None
    error_message: str | None = None


class Invitation(Record):
    """An offer of membership to one e-mail address. The token itself is never stored."""

    organization_id: UUID
    id: UUID
    email: str
    role: str
    invited_by: UUID | None = None
    created_at: datetime
    made_at_aal2: bool
    expires_at: datetime
    accepted_at: datetime | None = None
    accepted_by: UUID | None = None
    revoked_at: datetime | None = None


class Membership(Record):
    """Who belongs to which organization in which role. Changed only through functions."""

    organization_id: UUID
    user_id: UUID
    role: str
    status: Literal["active", "suspended"]
    created_at: datetime
    updated_at: datetime


class Message(Record):
    """One message of a conversation. Never changed once written; visible like its conversation."""

    organization_id: UUID
    id: UUID
    conversation_id: UUID
    direction: Literal["inbound", "outbound", "internal"]
    sender_name: str | None = None
    sender_address: str | None = None
    recipient_addresses: str | None = None
    subject: str | None = None
    body_html: str | None = None
    body_text: str | None = None
    external_id: str | None = None
    sent_at: datetime
    created_by: UUID | None = None
    created_at: datetime
    owner_id: UUID | None = None
    team_id: UUID | None = None


class Organization(Record):
    """A tenant. Every other record belongs to exactly one."""

    id: UUID
    name: str
    slug: str
    status: Literal["active", "closing", "closed", "purged"]
    require_mfa: bool
    currency: str
    time_zone: str
    created_at: datetime
    updated_at: datetime


class PipelineStage(Record):
    """A step of a pipeline."""

    organization_id: UUID
    id: UUID
    pipeline_id: UUID
    name: str
    position: int
    kind: Literal["open", "won", "lost"]
    probability: int
    created_at: datetime
    updated_at: datetime


class Pipeline(Record):
    """A sequence of stages that deals go through."""

    organization_id: UUID
    id: UUID
    name: str
    position: int
    is_default: bool
    created_at: datetime
    updated_at: datetime


class Profile(Record):
    """How a person appears to the people they share an organization with."""

    user_id: UUID
    display_name: str
    avatar_url: str | None = None
    created_at: datetime
    updated_at: datetime


class Role(Record):
    """The roles of an organization: the five built-in ones and those it made itself."""

    organization_id: UUID
    key: Literal["owner", "admin", "manager", "member", "viewer"]
    name: str
    rank: int
    builtin: bool
    created_at: datetime
    updated_at: datetime


class Tag(Record):
    """A label for contacts, companies and deals."""

    organization_id: UUID
    id: UUID
    name: str
    color: str
    created_at: datetime
    updated_at: datetime


class Team(Record):
    """A group of members who may share the records of their team."""

    organization_id: UUID
    id: UUID
    name: str
    created_at: datetime
    updated_at: datetime
