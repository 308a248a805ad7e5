"""Where accounts have logged in from."""

from collections.abc import Mapping

from sqlalchemy import ColumnElement, cast, exists, false
from sqlalchemy.dialects.postgresql import INET

from bugtracker.edge.addresses import UNKNOWN
from bugtracker.models import Account, Session
from bugtracker.services.credentials import named_by


def has_logged_in_from(body: Mapping[str, str], network: str) -> ColumnElement[bool]:
    """Whether the account that the body of a login names has a session that began at an address
    of the network, for as long as ended sessions are kept."""
    if network == UNKNOWN:
        return false()
    is_inside = Session.ip.op("<<=")(cast(network, INET))
    return exists().where(Session.account_id == Account.id, *named_by(body), is_inside)
