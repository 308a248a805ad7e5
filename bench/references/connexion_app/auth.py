"""``x-bearerInfoFunc``: who is behind a token."""

from typing import Any
from uuid import UUID

import jwt
from connexion.exceptions import OAuthProblem
from sqlalchemy import func, select

from bench.references import common
from bench.references.connexion_app.database import session
from bench.references.models import Account, Member, Session


def decode_token(token: str) -> dict[str, Any]:
    """The caller, as handlers get it in ``token_info``; 401."""
    try:
        claims = common.verified(token)
    except jwt.PyJWTError as error:
        raise OAuthProblem(detail="Invalid token") from error
    with session() as db:
        member = db.scalar(
            select(Member)
            .join(Account, Account.id == Member.account_id)
            .join(Session, Session.account_id == Account.id)
            .where(
                Member.org_id == UUID(claims["org"]),
                Member.user_id == UUID(claims["sub"]),
                Member.removed_at.is_(None),
                Account.is_active,
                Session.id == UUID(claims["sid"]),
                Session.revoked_at.is_(None),
                Session.expires_at > func.now(),
            )
        )
    if member is None:
        raise OAuthProblem(detail="Session has ended")
    return {"sub": str(member.user_id), "org_id": member.org_id, "role": member.role}
