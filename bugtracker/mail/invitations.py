"""The job that mails an invitation. It mints the token, which goes into the mail only."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.mail.letters import send_letter
from bugtracker.mail.message import duration, language_for
from bugtracker.messages import SOURCE, _
from bugtracker.models import Account, Invitation, Organisation
from bugtracker.queries.people import PEOPLE
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import new_token, token_hash


def invitation(runtime: Runtime, org_id: str, invitation_id: str, language: str = SOURCE) -> None:
    """Mails a new link; earlier ones end. Nothing for an invitation that is not open any more.

    In the language of whoever invites, for people who have set none or have no account yet.
    """
    token = new_token()
    with runtime.db.transaction(org_id=UUID(org_id)) as session:
        invited = _lock(session, UUID(org_id), UUID(invitation_id))
        if invited is None or not invited.is_open or invited.expires_at <= utc_now():
            return
        invited.token_hash = token_hash(token)
        recipient, values = invited.email, _values(session, invited)
        language = language_for(_setting(session, recipient), language)
    settings = runtime.settings
    values |= {
        "token": token,
        "link": f"{settings.links_base}/#action=accept-invitation&token={token}",
        "endpoint": f"{settings.base_url}/api/invitations/accept",
        "lifetime": duration(settings.invitation_seconds),
    }
    send_letter(settings, "invitation", recipient, values, language, invitation=invitation_id)


def _lock(session: Session, org_id: UUID, invitation_id: UUID) -> Invitation | None:
    wanted = select(Invitation).where(Invitation.org_id == org_id, Invitation.id == invitation_id)
    # One at a time: of two links for one invitation, the later one has to live.
    return session.scalar(wanted.with_for_update())


def _setting(session: Session, email: str) -> str | None:
    """The language that somebody with this address has set."""
    return session.scalar(
        select(Account.language).where(
            func.lower(Account.email) == email.lower(), Account.verified_at.is_not(None)
        )
    )


def _values(session: Session, invited: Invitation) -> dict[str, str]:
    """What the mail says of the invitation."""
    organisation = session.scalars(select(Organisation.name)).one()
    sender = session.scalar(
        select(PEOPLE.c.username).where(
            PEOPLE.c.org_id == invited.org_id, PEOPLE.c.user_id == invited.invited_by_id
        )
    )
    return {"organisation": organisation, "sender": sender or _("somebody"), "role": invited.role}
