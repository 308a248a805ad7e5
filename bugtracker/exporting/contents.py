"""What is in an archive: what an organisation holds about a person, and, for the person alone,
what their account holds. No secret is selected, and nobody else's name or address."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select

from bugtracker.audit.personal import personal_fields
from bugtracker.db import Rows
from bugtracker.exporting.archive import File, Json
from bugtracker.models import (
    Account,
    ApiKey,
    Comment,
    Credential,
    Event,
    Invitation,
    Issue,
    Member,
    Organisation,
    Project,
    Session,
    TwoFactor,
)
from bugtracker.queries import api_keys as api_key_queries
from bugtracker.queries import issues as issue_queries
from bugtracker.queries.people import NAME, USERNAME, has_account
from bugtracker.security.named import in_same_project
from bugtracker.serializers import api_keys, tracker


@dataclass(frozen=True, slots=True)
class Subject:
    """The person, in the organisation, at the moment of the export."""

    org_id: UUID
    user_id: UUID
    now: datetime


def files(subject: Subject, *, with_account: bool) -> Iterator[File]:
    """The files in their order; ``with_account`` adds those that only the person may see."""
    yield File("profile.json", "The person in this organisation", _profile(subject), _row, True)
    yield from _work(subject)
    yield File(
        "events.json",
        "What the person did and what happened to them; of others their ids, without names",
        _events(subject, with_account=with_account),
        _event(subject.user_id),
    )
    yield File("invitations.json", "Sent by or to the person", _invitations(subject), _row)
    yield File(
        "api_keys.json",
        "Keys that the person made, without their secrets",
        select(*api_key_queries.COLUMNS)
        .where(ApiKey.org_id == subject.org_id, ApiKey.created_by_id == subject.user_id)
        .order_by(ApiKey.id),
        api_keys.api_key(subject.now),
    )
    if with_account:
        yield from _account(subject)


def _work(subject: Subject) -> Iterator[File]:
    project = select(
        Project.id,
        Project.key,
        Project.name,
        Project.description,
        Project.created_by_id,
        Project.is_archived,
        Project.created_at,
        Project.updated_at,
        Project.version,
    ).where(Project.org_id == subject.org_id, Project.created_by_id == subject.user_id)
    comment = select(
        Comment.id,
        Comment.issue_id,
        Comment.author_id,
        Comment.content,
        Comment.created_at,
        Comment.updated_at,
        Comment.version,
    ).where(Comment.org_id == subject.org_id, Comment.author_id == subject.user_id)
    reported, assigned = (
        _issues(subject, Issue.reporter_id == subject.user_id),
        _issues(subject, Issue.assignee_id == subject.user_id),
    )
    yield File("projects.json", "Made by them", project.order_by(Project.id), tracker.project)
    yield File("issues_reported.json", "Reported by them", reported, tracker.issue)
    yield File("issues_assigned.json", "Assigned to them", assigned, tracker.issue)
    yield File("comments.json", "Written by them", comment.order_by(Comment.id), tracker.comment)


def _account(subject: Subject) -> Iterator[File]:
    yield File("account.json", "The account", _account_row(subject), _row, True)
    yield File("memberships.json", "In all organisations", _memberships(subject), _row)
    session = select(
        Session.id,
        Session.org_id,
        Session.user_agent,
        func.host(Session.ip).label("ip"),
        Session.created_at,
        Session.last_used_at,
        Session.expires_at,
        Session.revoked_at,
        Session.revoked_reason,
    ).where(Session.account_id == subject.user_id)
    yield File("sessions.json", "Logins, also ended ones", session.order_by(Session.id), _row)


def _row(row: Any) -> Json:
    return dict(row._mapping)


def _profile(subject: Subject) -> Rows:
    return (
        select(
            Member.user_id.label("id"),
            USERNAME.label("username"),
            NAME.label("name"),
            Account.email,
            Account.verified_at.is_not(None).label("verified"),
            Member.role,
            Member.imported_from,
            Member.last_login,
            Member.login_count,
            Member.created_at,
            Member.updated_at,
            Member.removed_at,
        )
        .outerjoin(Account, has_account())
        .where(Member.org_id == subject.org_id, Member.user_id == subject.user_id)
    )


def _issues(subject: Subject, is_theirs: ColumnElement[bool]) -> Rows:
    return (
        select(*issue_queries.COLUMNS)
        .join(Project, in_same_project())
        .where(Issue.org_id == subject.org_id, is_theirs)
        .order_by(Issue.created_at, Issue.id)
    )


def _events(subject: Subject, *, with_account: bool) -> Rows:
    """Those of the organisation; for the person also those outside any."""
    person = subject.user_id
    theirs = or_(
        Event.actor_id == person,
        Event.account_id == person,
        and_(Event.resource_type == "user", Event.resource_id == person),
    )
    here = and_(Event.org_id == subject.org_id, theirs)
    outside = and_(Event.org_id.is_(None), Event.account_id == person)
    return (
        select(
            Event.id,
            Event.org_id,
            Event.action,
            Event.actor_id,
            Event.account_id,
            Event.resource_type,
            Event.resource_id,
            Event.project_id,
            Event.issue_id,
            Event.changes,
            Event.created_at,
        )
        .where(or_(here, outside) if with_account else here)
        .order_by(Event.created_at, Event.id)
    )


def _event(person: UUID) -> Callable[[Any], Json]:
    def serialise(row: Any) -> Json:
        about = row.account_id == person or row.resource_id == person
        hidden = [] if about else personal_fields(row.resource_type, row.changes)
        event = _row(row)
        event["changes"] = [
            {"field": field, "old": old, "new": new}
            for field, (old, new) in row.changes.items()
            if field not in hidden
        ]
        del event["account_id"]
        return event

    return serialise


def _invitations(subject: Subject) -> Rows:
    """To their own address it is named; the addresses of those whom they invited are not theirs."""
    own = select(func.lower(Account.email)).where(Account.id == subject.user_id).scalar_subquery()
    to_them = func.lower(Invitation.email) == own
    return (
        select(
            Invitation.id,
            func.coalesce(to_them, False).label("to_this_person"),
            Invitation.role,
            Invitation.invited_by_id,
            Invitation.expires_at,
            Invitation.accepted_at,
            Invitation.revoked_at,
            Invitation.created_at,
        )
        .where(
            Invitation.org_id == subject.org_id,
            or_(Invitation.invited_by_id == subject.user_id, to_them),
        )
        .order_by(Invitation.id)
    )


def _account_row(subject: Subject) -> Rows:
    return (
        select(
            Account.id,
            Account.username,
            Account.email,
            Account.name,
            Account.language,
            Account.verified_at,
            Account.is_active,
            Account.last_login,
            Account.login_count,
            Credential.changed_at.label("password_changed_at"),
            TwoFactor.confirmed_at.label("two_factor_enabled_at"),
            Account.created_at,
            Account.updated_at,
        )
        .outerjoin(Credential, Credential.account_id == Account.id)
        .outerjoin(TwoFactor, TwoFactor.account_id == Account.id)
        .where(Account.id == subject.user_id)
    )


def _memberships(subject: Subject) -> Rows:
    """A person sees their own memberships, and the names of the organisations they are still in."""
    return (
        select(
            Member.org_id,
            Organisation.slug,
            Organisation.name,
            Member.role,
            Member.last_login,
            Member.login_count,
            Member.created_at,
            Member.removed_at,
        )
        .outerjoin(Organisation, Organisation.id == Member.org_id)
        .where(Member.account_id == subject.user_id)
        .order_by(Member.org_id)
    )
