"""Sessions: started, refreshed, ended.

A session is one login on one device. Its refresh tokens form a chain: each is exchanged once, by
one SQL statement, and whoever presents a used one ends the session, because either the thief or
the victim is holding the other copy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, cast, func, or_, select, update
from sqlalchemy.dialects.postgresql import INET

from bugtracker.context import Context
from bugtracker.db import enter_tenant
from bugtracker.errors import (
    PermissionDenied,
    RefreshTokenInvalid,
    RefreshTokenReused,
    Violation,
)
from bugtracker.ids import new_id
from bugtracker.mail.queueing import queue_mail
from bugtracker.messages import _
from bugtracker.models import Account, Member, RefreshToken, Session
from bugtracker.security.secrets import new_token, token_hash
from bugtracker.security.tokens import AccessClaims, issue_access_token
from bugtracker.services import events, members, revocation, whence


@dataclass(frozen=True)
class TokenPair:
    """What a login or refresh gives; the access token lives ``expires_in`` seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


def start(ctx: Context, account: Account, wanted: UUID | None, how: Mapping[str, str]) -> TokenPair:
    """A new session of a locked account, in the wanted organisation or one of theirs.

    The ways in are in :mod:`logins`; ``how`` goes into the event.
    """
    org_id = _organisation(ctx, account, wanted)
    started = Session(
        id=new_id(),
        account_id=account.id,
        org_id=org_id,
        user_agent=whence.user_agent(ctx),
        ip=whence.address(ctx),
        created_at=ctx.now,
        last_used_at=ctx.now,
        expires_at=ctx.now + timedelta(seconds=ctx.runtime.settings.session_seconds),
    )
    if account.last_login is not None:
        _tell_if_new(ctx, started)
    ctx.session.add(started)
    account.last_org_id = org_id
    account.note_login(ctx.now)
    events.record_for_account(
        ctx,
        "login.succeeded",
        events.Resource("session", started.id),
        {**events.created(**how), **whence.told(ctx)},
        account_id=account.id,
        org_id=org_id,
    )
    if org_id is not None:
        members.note_login(ctx.session, org_id, account.id, ctx.now)
        ids = {"org_id": org_id, "login_id": started.id}
        ctx.runtime.queue.defer(ctx.session, "analytics.record_login", **ids)
    return _issue(ctx, started.id, account.id, org_id, started.expires_at)


def _tell_if_new(ctx: Context, started: Session) -> None:
    """Queues a mail when no session of the account, however it ended, was started by this program
    from this network."""
    same = and_(
        _program(Session.user_agent).is_not_distinct_from(_program(started.user_agent)),
        Session.ip.is_(None)
        if started.ip is None
        else or_(Session.ip.is_(None), _network(Session.ip).op(">>=")(cast(started.ip, INET))),
    )
    known = ctx.session.scalar(
        select(func.bool_or(same)).where(Session.account_id == started.account_id)
    )
    # None: all sessions are so old that they were cleared away.
    if not known:
        queue_mail(ctx, "new_sign_in", session_id=started.id)


def _program(user_agent: Any) -> ColumnElement[Any]:
    """A user agent without its versions: an update makes no other program of a browser."""
    return func.regexp_replace(user_agent, "[0-9]+", "", "g")


def _network(address: Any) -> ColumnElement[Any]:
    """The /24 of an IPv4 address, the /48 of an IPv6 one: what one customer is given, or less."""
    bits = case((func.family(address) == 4, 24), else_=48)
    return func.network(func.set_masklen(address, bits))


def wanted_organisation(ctx: Context) -> UUID | None:
    """What the body asks for by ``org_id``."""
    wanted = ctx.body.get("org_id")
    return None if wanted is None else UUID(wanted)


def _organisation(ctx: Context, account: Account, wanted: UUID | None) -> UUID | None:
    """The wanted organisation, else the one used last, else the first joined, else none."""
    joined = _memberships(ctx, account.id)
    if wanted is not None:
        return _require_member(wanted, joined)
    if account.last_org_id in joined:
        return account.last_org_id
    return joined[0] if joined else None


def _memberships(ctx: Context, account_id: UUID) -> list[UUID]:
    enter_tenant(ctx.session, None, account_id)
    return list(
        ctx.session.scalars(
            select(Member.org_id)
            .where(Member.account_id == account_id, Member.removed_at.is_(None))
            .order_by(Member.created_at, Member.org_id)
        )
    )


def _require_member(wanted: UUID, joined: list[UUID]) -> UUID:
    if wanted not in joined:
        violation = Violation("org_id", _("is not an organisation of yours"), pointer="/org_id")
        raise PermissionDenied(_("You are not in this organisation."), errors=[violation])
    return wanted


def refresh(ctx: Context) -> TokenPair:
    """Exchanges a refresh token, and switches the organisation when ``org_id`` is given."""
    hashed = token_hash(ctx.body["refresh_token"])
    session_id = ctx.session.scalar(
        update(RefreshToken)
        .where(
            RefreshToken.token_hash == hashed,
            RefreshToken.used_at.is_(None),
            RefreshToken.expires_at > ctx.now,
        )
        .values(used_at=ctx.now)
        .returning(RefreshToken.session_id)
    )
    if session_id is None:
        _refuse_refresh(ctx, hashed)
    live = _live_session(ctx, session_id)
    joined = _memberships(ctx, live.account_id)
    org_id = live.org_id
    if (wanted := wanted_organisation(ctx)) is not None:
        org_id = _require_member(wanted, joined)
    elif org_id is not None and org_id not in joined:
        raise _refresh_invalid()
    live.org_id, live.last_used_at = org_id, ctx.now
    return _issue(ctx, live.id, live.account_id, org_id, live.expires_at)


def _live_session(ctx: Context, session_id: UUID) -> Session:
    live = ctx.session.scalar(
        select(Session)
        .join(Account, Account.id == Session.account_id)
        .where(
            Session.id == session_id,
            Session.revoked_at.is_(None),
            Session.expires_at > ctx.now,
            Account.is_active,
        )
        .with_for_update(of=Session)
    )
    if live is None:
        raise _refresh_invalid()
    return live


def _refuse_refresh(ctx: Context, hashed: bytes) -> NoReturn:
    """401, and the end of the session when the token is one that was already exchanged."""
    used = ctx.session.scalar(
        select(RefreshToken.session_id).where(
            RefreshToken.token_hash == hashed, RefreshToken.used_at.is_not(None)
        )
    )
    reason, action = "refresh_token_reused", "session.reuse_detected"
    if used is not None and revocation.end(ctx, used, reason, action):
        raise _refresh_invalid(RefreshTokenReused)
    raise _refresh_invalid()


def _refresh_invalid(kind: type[RefreshTokenInvalid] = RefreshTokenInvalid) -> RefreshTokenInvalid:
    return kind(
        _("It is unknown, expired, already used, or its session has ended; log in again."),
        headers={"WWW-Authenticate": 'Bearer realm="bugtracker"'},
    )


def log_out(ctx: Context) -> None:
    """Ends the session of a refresh token at once; an unknown token ends nothing."""
    session_id = ctx.session.scalar(
        select(RefreshToken.session_id).where(
            RefreshToken.token_hash == token_hash(ctx.body["refresh_token"])
        )
    )
    if session_id is not None:
        revocation.end(ctx, session_id, "logout", "session.ended")


def _issue(
    ctx: Context, session_id: UUID, account_id: UUID, org_id: UUID | None, ends: datetime
) -> TokenPair:
    settings = ctx.runtime.settings
    refresh_token = new_token()
    lifetime = timedelta(seconds=settings.refresh_token_seconds)
    ctx.session.add(
        RefreshToken(
            id=new_id(),
            session_id=session_id,
            token_hash=token_hash(refresh_token),
            created_at=ctx.now,
            expires_at=min(ctx.now + lifetime, ends),
        )
    )
    claims = AccessClaims(account_id, session_id, org_id)
    access_token = issue_access_token(ctx.runtime.keys, settings, claims, ctx.now)
    return TokenPair(access_token, refresh_token, settings.access_token_seconds)
