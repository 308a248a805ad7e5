"""Conditional requests: one ETag for every item, ``If-None-Match`` and ``If-Match``."""

import hashlib
import re

from sqlalchemy import ColumnElement, and_, func, select

from bugtracker.context import Context
from bugtracker.errors import PreconditionFailed, PreconditionRequired, RequestInvalid, Violation
from bugtracker.messages import _
from bugtracker.models import Event
from bugtracker.models.base import Versioned

TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')
HASH_LENGTH = 16


def etag(version: int, representation: bytes) -> str:
    """The row's version, and a hash that differs between representations of the same row."""
    digest = hashlib.blake2b(representation, digest_size=HASH_LENGTH // 2).hexdigest()
    return f'"v{version}-{digest}"'


def not_modified(if_none_match: str | None, tag: str) -> bool:
    """Whether the client already has this representation."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag.strip('"') in TAG.findall(if_none_match)


def check_if_match(
    ctx: Context, item: Versioned, resource_id: object, *, of_account: bool = False
) -> None:
    """412 unless ``If-Match`` is absent or names the row's version; 428 when it is absent and the
    operation's contract documents that.

    Call with the row locked, so that of many writers with one tag exactly one passes.
    ``of_account``: it is the caller's own account, whose changes are events outside organisations.
    """
    header = ctx.headers.get("if-match")
    if header is None and ctx.operation.version_required:
        violation = Violation("required", _("is required"), parameter="If-Match")
        raise PreconditionRequired(
            _("Send the ETag of your copy as If-Match, or * for any version."), errors=[violation]
        )
    if header is None or header.strip() == "*":
        return
    tags = TAG.findall(header)
    if not tags:
        violation = Violation(
            "format", _('must be an ETag such as "v3-…", or *'), parameter="If-Match"
        )
        raise RequestInvalid(_("If-Match is not an entity tag."), errors=[violation])
    versions = {int(m[1]) for tag in tags if (m := re.match(r"v(\d{1,9})(?:-|$)", tag))}
    if item.version not in versions:
        raise PreconditionFailed(
            _(
                "It is at version {version} now; read it again and repeat your change.",
                version=item.version,
            ),
            current_version=item.version,
            changed_fields=_changed_since(
                ctx,
                _outside(ctx) if of_account else Event.org_id == ctx.org_id,
                resource_id,
                max(versions, default=0),
            ),
        )


def _outside(ctx: Context) -> ColumnElement[bool]:
    return and_(Event.org_id.is_(None), Event.account_id == ctx.user_id)


def _changed_since(
    ctx: Context, place: ColumnElement[bool], resource_id: object, version: int
) -> list[str]:
    """Names of the fields that changed after a version."""
    names = (
        select(func.jsonb_object_keys(Event.changes).label("field"))
        .where(
            place,
            Event.resource_id == resource_id,
            Event.resource_version > version,
        )
        .subquery()
    )
    return sorted(ctx.session.scalars(select(names.c.field).distinct()))
