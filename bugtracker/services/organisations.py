"""Organisations: founding one, joining one, renaming one."""

import re
import secrets
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bugtracker.conditional import check_if_match
from bugtracker.context import Context
from bugtracker.db import enter_tenant
from bugtracker.errors import OrganisationSlugReserved, OrganisationSlugTaken, Violation
from bugtracker.ids import new_id
from bugtracker.messages import Message, _
from bugtracker.models import Account, Member, Organisation
from bugtracker.models.organisation import Role
from bugtracker.security.scoping import lock_organisation, require_current
from bugtracker.services import events
from bugtracker.services.changes import apply_patch
from bugtracker.services.events import Origin

log = structlog.get_logger()

MAX_SLUG = 50


def slug_of(name: str) -> str:
    """A slug from a name: ASCII letters, digits and single hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_SLUG].strip("-") or "organisation"


def organisation_by_slug(session: Session, slug: str) -> UUID | None:
    """The organisation of this slug, whoever asks."""
    return session.scalar(select(func.organisation_by_slug(slug)))


def join_first(ctx: Context, account: Account) -> UUID | None:
    """What a verified person belongs to: the organisation they asked for at registration, else
    the deployment's open one, else none."""
    slug = ctx.runtime.settings.open_organisation
    if account.pending_org_name is not None:
        name = account.pending_org_name
        org_id = found(ctx.session, _free_slugs(name, slug), name, _by(ctx, account.id))
        add_member(ctx.session, org_id, account.id, "owner", _by(ctx, account.id))
        return org_id
    open_id = organisation_by_slug(ctx.session, slug) if slug else None
    if open_id is not None:
        add_member(ctx.session, open_id, account.id, "developer", _by(ctx, account.id))
    elif slug:
        log.warning("open_organisation_missing", slug=slug)
    return open_id


def _by(ctx: Context, account_id: UUID) -> Origin:
    return Origin(ctx.now, None, account_id, account_id, ctx.request_id)


def create_organisation(ctx: Context) -> UUID:
    """A new organisation that the caller owns. 409 when its slug is asked for and taken or
    reserved; without one it is made of the name."""
    body, by = ctx.body, _by(ctx, ctx.user_id)
    _require_unreserved(ctx, None, body.get("slug"))
    slugs = slugs_for(body, ctx.runtime.settings.open_organisation)
    try:
        org_id = found(ctx.session, slugs, body["name"], by)
    except ValueError as error:
        raise _slug_taken() from error
    add_member(ctx.session, org_id, ctx.user_id, "owner", by)
    return org_id


def slugs_for(wanted: Mapping[str, str], reserved: str | None) -> Iterable[str]:
    """The ``slug`` that is asked for, none when it is reserved; else ones made of the ``name``."""
    if "slug" not in wanted:
        return _free_slugs(wanted["name"], reserved)
    return [wanted["slug"]] if wanted["slug"] != reserved else []


def _slug_taken() -> OrganisationSlugTaken:
    violation = Violation("organisation_slug_taken", _("is taken"), pointer="/slug")
    return OrganisationSlugTaken(_("Choose another slug."), errors=[violation])


def _require_unreserved(ctx: Context, old: str | None, new: str | None) -> None:
    """409 for the slug of the deployment's open organisation. Nobody takes it, or they would own
    what everybody joins; nor gives it up: registrations would join nothing, and nobody could have
    it back."""
    reserved = ctx.runtime.settings.open_organisation
    if reserved is None or old == new:
        return
    if old == reserved:
        raise _slug_reserved(
            _(
                "Whoever registers joins the organisation with the slug {slug}. It can be renamed"
                " while the operator has BUGTRACKER_OPEN_ORGANISATION name neither the old slug"
                " nor the new one.",
                slug=old,
            )
        )
    if new == reserved:
        raise _slug_reserved(
            _("The operator keeps it for what everybody joins. Choose another slug.")
        )


def _slug_reserved(detail: Message) -> OrganisationSlugReserved:
    violation = Violation("organisation_slug_reserved", _("is reserved"), pointer="/slug")
    return OrganisationSlugReserved(detail, errors=[violation])


def update_organisation(ctx: Context, organisation_id: str) -> None:
    """Applies a merge patch to the token's organisation. 409 when the slug is taken or reserved."""
    require_current(ctx, organisation_id)
    organisation = lock_organisation(ctx)
    check_if_match(ctx, organisation, organisation.id)
    _require_unreserved(ctx, organisation.slug, ctx.body.get("slug", organisation.slug))
    changes = apply_patch(organisation, ctx.body)
    if not changes:
        return
    organisation.touch(ctx.now)
    try:
        ctx.session.flush()
    except IntegrityError as error:
        raise _slug_taken() from error
    resource = events.Resource("organisation", organisation.id, organisation.version)
    events.record(ctx, "organisation.updated", resource, changes)


def _free_slugs(name: str, reserved: str | None) -> Iterator[str]:
    """The name's own slug, then ones with a random ending, for as long as they are taken.

    The slug of the open organisation is the operator's, also before that organisation exists:
    whoever founded it would own what everybody joins.
    """
    slug = slug_of(name)
    if slug != reserved:
        yield slug
    while True:
        yield f"{slug}-{secrets.token_hex(3)}"


def found(
    session: Session, slugs: Iterable[str], name: str, by: Origin, org_id: UUID | None = None
) -> UUID:
    """A new organisation, of this id if one is given, under the first free one of ``slugs``;
    ValueError when none is."""
    org_id = org_id or new_id()
    enter_tenant(session, org_id, by.account_id)
    for slug in slugs:
        made = session.scalar(
            insert(Organisation)
            .values(
                id=org_id, slug=slug, name=name, created_at=by.now, updated_at=by.now, version=1
            )
            .on_conflict_do_nothing(index_elements=[Organisation.slug])
            .returning(Organisation.id)
        )
        if made is not None:
            resource = events.Resource("organisation", org_id, 1)
            changes = events.created(name=name, slug=slug)
            events.append(
                session, replace(by, org_id=org_id), "organisation.created", resource, changes
            )
            return org_id
    raise ValueError(f"the organisation {name!r} exists already")


def ensure(session: Session, slug: str, name: str, by: Origin) -> UUID:
    """The organisation of this slug, made when it is missing. Leaves the transaction in it."""
    org_id = organisation_by_slug(session, slug)
    if org_id is None:
        return found(session, [slug], name, by)
    enter_tenant(session, org_id, by.account_id)
    return org_id


def add_member(session: Session, org_id: UUID, account_id: UUID, role: Role, by: Origin) -> None:
    """Makes an account a member, or gives a member, present or past, this role."""
    enter_tenant(session, org_id, by.account_id)
    member = session.get(Member, (org_id, account_id), with_for_update=True)
    if member is None:
        member = Member(
            org_id=org_id,
            user_id=account_id,
            account_id=account_id,
            role=role,
            created_at=by.now,
            updated_at=by.now,
            version=1,
        )
        session.add(member)
        action, changes = "member.joined", events.created(role=role)
    elif member.role == role and member.removed_at is None:
        return
    else:
        action, changes = "member.role_changed", {"role": (member.role, role)}
        member.role, member.removed_at = role, None
        member.touch(by.now)
    resource = events.Resource("user", account_id, member.version)
    events.append(session, replace(by, org_id=org_id), action, resource, changes)
