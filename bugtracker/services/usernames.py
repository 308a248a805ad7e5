"""Who may use a username.

A registration claims its username whether or not its address is already known, so that 409 tells
nothing about addresses. A claim lasts as long as the mailed link, and for good once the address is
verified; a later registration of the same address gives up its earlier claim.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from bugtracker.errors import UsernameTaken, Violation
from bugtracker.messages import _
from bugtracker.models import Username


def claim(session: Session, username: str, email: str, now: datetime, lifetime: timedelta) -> None:
    """Reserves a username for an address; 409 when somebody else holds it."""
    key, email_key = username.lower(), email.lower()
    session.execute(
        delete(Username).where(
            Username.email_key == email_key,
            Username.expires_at.is_not(None),
            Username.username_key != key,
        )
    )
    claims = insert(Username).values(
        username_key=key, email_key=email_key, expires_at=now + lifetime
    )
    free = or_(Username.expires_at < now, Username.email_key == email_key)
    won = session.scalar(
        claims.on_conflict_do_update(
            index_elements=[Username.username_key],
            set_={"email_key": email_key, "expires_at": now + lifetime},
            where=Username.expires_at.is_not(None) & free,
        ).returning(Username.username_key)
    )
    if won is None:
        raise taken()


def keep(session: Session, username: str, email: str) -> bool:
    """Makes a claim permanent; False when it had expired and somebody else took the name."""
    kept = session.scalar(
        update(Username)
        .where(Username.username_key == username.lower(), Username.email_key == email.lower())
        .values(expires_at=None)
        .returning(Username.username_key)
    )
    return kept is not None


def taken() -> UsernameTaken:
    """The refusal."""
    violation = Violation("username_taken", _("is taken"), pointer="/username")
    return UsernameTaken(_("Choose another username."), errors=[violation])
