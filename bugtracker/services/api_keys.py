"""Making, renaming, rotating and revoking API keys."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from bugtracker.conditional import check_if_match
from bugtracker.context import Context
from bugtracker.errors import ApiKeyNotActive, ApiKeyScopeNotHeld, Violation
from bugtracker.ids import new_id
from bugtracker.messages import _, listed
from bugtracker.models import ApiKey, Member
from bugtracker.models.api_key import status_of
from bugtracker.security.api_keys import new_key
from bugtracker.security.authentication import token_invalid
from bugtracker.security.permissions import grant_to
from bugtracker.security.scoping import not_found
from bugtracker.services import events
from bugtracker.services.changes import apply_patch

DEFAULT_DAYS = 90
DEFAULT_OVERLAP_SECONDS = 86_400

ENDED = {
    "expired": _("This key is expired; create a new one."),
    "revoked": _("This key is revoked; create a new one."),
}


def create_api_key(ctx: Context) -> tuple[ApiKey, str]:
    """A new key of the caller's, and its secret, which cannot be had again. 422 for scopes that
    the caller has no permission for."""
    body = ctx.body
    _stay(ctx)
    missing = _not_held(ctx, body["scopes"])
    if missing:
        raise ApiKeyScopeNotHeld(
            _(
                "Your role, {role}, does not have {missing}.",
                role=ctx.principal.role,
                missing=listed(missing),
            ),
            errors=[
                Violation("scope_not_held", _("is not yours to give"), pointer=f"/scopes/{place}")
                for place, scope in enumerate(body["scopes"])
                if scope in missing
            ],
        )
    lifetime = timedelta(days=body.get("expires_in_days", DEFAULT_DAYS))
    return _issue(ctx, body["name"], body["scopes"], lifetime)


def _stay(ctx: Context) -> None:
    """Keeps the caller a member until the commit: whoever removes them waits, and ends this key
    with the others. 401 when they were removed since the request began."""
    member = select(Member.user_id).where(
        Member.org_id == ctx.org_id, Member.user_id == ctx.user_id, Member.removed_at.is_(None)
    )
    if ctx.session.scalar(member.with_for_update(read=True)) is None:
        raise token_invalid()


def _issue(
    ctx: Context, name: str, scopes: Sequence[str], lifetime: timedelta
) -> tuple[ApiKey, str]:
    made = new_key()
    key = ApiKey(
        org_id=ctx.org_id,
        id=new_id(),
        name=name,
        prefix=made.prefix,
        key_hash=made.hash,
        scopes=sorted(scopes),
        created_by_id=ctx.user_id,
        expires_at=ctx.now + lifetime,
        created_at=ctx.now,
        updated_at=ctx.now,
        version=1,
    )
    ctx.session.add(key)
    ctx.session.flush()
    fields = {"name": name, "prefix": key.prefix, "scopes": key.scopes}
    created = events.created(**fields, expires_at=key.expires_at)
    events.record(ctx, "api_key.created", _resource(key), created)
    return key, made.secret


def _not_held(ctx: Context, scopes: Sequence[str]) -> list[str]:
    return [scope for scope in scopes if grant_to(ctx.principal, scope) is None]


def _resource(key: ApiKey) -> events.Resource:
    return events.Resource("api_key", key.id, key.version)


def _lock(ctx: Context, api_key_id: str) -> ApiKey:
    key = ctx.session.scalar(
        select(ApiKey)
        .where(ApiKey.org_id == ctx.org_id, ApiKey.id == UUID(api_key_id))
        .with_for_update()
    )
    if key is None:
        raise not_found("API key")
    return key


def update_api_key(ctx: Context, api_key_id: str) -> ApiKey:
    """Renames the key. What it may do never changes."""
    key = _lock(ctx, api_key_id)
    check_if_match(ctx, key, key.id)
    changes = apply_patch(key, ctx.body)
    if changes:
        key.touch(ctx.now)
        events.record(ctx, "api_key.updated", _resource(key), changes)
    return key


def rotate_api_key(ctx: Context, api_key_id: str) -> tuple[ApiKey, str]:
    """A successor with the same name, scopes and lifetime, and its secret; the old key works
    until the overlap ends. 409 for a key that has ended or has a successor.

    The successor is the caller's, who is shown its secret: nobody gets to act as somebody else.
    Hence 422 when the caller could not have made such a key.
    """
    _stay(ctx)
    old = _lock(ctx, api_key_id)
    _require_active(ctx, old)
    missing = _not_held(ctx, old.scopes)
    if missing:
        raise ApiKeyScopeNotHeld(
            _(
                "The new key would be yours, and your role, {role}, does not have {missing}.",
                role=ctx.principal.role,
                missing=listed(missing),
            )
        )
    new, secret = _issue(ctx, old.name, old.scopes, old.expires_at - old.created_at)
    overlap = timedelta(seconds=ctx.body.get("overlap_seconds", DEFAULT_OVERLAP_SECONDS))
    patch = {"replaced_by_id": new.id, "expires_at": min(old.expires_at, ctx.now + overlap)}
    changes = apply_patch(old, patch)
    old.touch(ctx.now)
    events.record(ctx, "api_key.rotated", _resource(old), changes)
    return new, secret


def _require_active(ctx: Context, key: ApiKey) -> None:
    status = status_of(key.revoked_at, key.expires_at, ctx.now)
    if status != "active":
        raise ApiKeyNotActive(ENDED[status])
    if key.replaced_by_id is not None:
        raise ApiKeyNotActive(_("This key was rotated already; rotate its successor."))


def revoke_api_key(ctx: Context, api_key_id: str) -> None:
    """Ends the key at once; again is no change."""
    key = _lock(ctx, api_key_id)
    check_if_match(ctx, key, key.id)
    if key.revoked_at is None:
        revoke(ctx, key)


def revoke(ctx: Context, key: ApiKey) -> None:
    """Ends a locked key that has not been revoked."""
    key.revoked_at = ctx.now
    key.touch(ctx.now)
    changes = {"revoked_at": (None, key.revoked_at)}
    events.record(ctx, "api_key.revoked", _resource(key), changes)
