"""What a handler is given, and what it gives back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, Result
from sqlalchemy.orm import Session

from bugtracker.contract import Operation
from bugtracker.db import Database, enter_tenant
from bugtracker.errors import AuthenticationRequired, OrganisationRequired
from bugtracker.feed.waits import Wait
from bugtracker.language import negotiate
from bugtracker.messages import _
from bugtracker.models.organisation import Role
from bugtracker.opening import Opened
from bugtracker.runtime import Runtime
from bugtracker.security.principal import PartnerPrincipal, Principal

BY_NAME = {"_result_disable_adapt_to_context": True}
"""What a session says too: rows are asked for their columns by name only. Without it, each result
is adapted to the column objects of its statement, which costs as much as the rest of a result.
tests/test_context.py notices when it no longer means that."""


@dataclass
class Context:
    """One request, validated: everything a handler may use.

    ``session`` is opened on first use and is the request's one transaction; the wrapper commits.
    ``path`` and ``query`` hold coerced parameters (defaults filled in), ``body`` the parsed JSON.
    """

    runtime: Runtime
    operation: Operation
    caller: Principal | None
    now: datetime
    request_id: str
    client_ip: str
    user_agent: str | None
    target: str
    """Path of the request, for links."""
    query: Mapping[str, Any]
    given_query: Mapping[str, Any]
    """``query`` without the defaults: what the client itself wrote."""
    headers: Mapping[str, str]
    """Validated header parameters, by their lower-case name."""
    body: Any = None
    partner: PartnerPrincipal | None = None
    accept_language: bytes | None = None
    """The header as it was sent."""
    opened: Opened | None = None
    """The transaction in which the caller was looked up."""

    @cached_property
    def language(self) -> str:
        """The language of the answer, and of mails to people who have set none."""
        return negotiate(self.accept_language, self.caller.language if self.caller else None)

    @property
    def db(self) -> Database:
        """For the few mechanisms that step out of the request's transaction."""
        return self.runtime.db

    @cached_property
    def session(self) -> Session:
        """The request's transaction, in the caller's tenant."""
        org_id = self.caller.org_id if self.caller else None
        account_id = self.caller.account_id if self.caller else None
        if self.opened is None or self.opened.is_over:
            return self.runtime.db.session(org_id=org_id, account_id=account_id)
        connection = self.opened.connection
        return self.runtime.db.joined(connection, org_id=org_id, account_id=account_id)

    def read(self, statement: Executable, **values: Any) -> Result[Any]:
        """The rows of a statement that selects columns, in the request's transaction.

        As ``session.execute``, but where no entity is at work, past all that knows of entities;
        and what was foreseen is there already."""
        if self.opened is not None and "session" not in self.__dict__:
            foreseen = self.opened.take(statement, values)
            if foreseen is not None:
                return foreseen
            if not self.opened.is_over:
                return self.opened.connection.execute(statement, values, execution_options=BY_NAME)
        return self.session.execute(statement, values)

    def within(self, org_id: UUID, role: Role) -> "Context":
        """The same request and transaction in another organisation of the caller's."""
        enter_tenant(self.session, org_id, self.user_id)
        there = replace(self, caller=replace(self.principal, org_id=org_id, role=role))
        there.__dict__["session"] = self.session
        return there

    def commit(self) -> None:
        """Commits the request's transaction, if one was begun."""
        if "session" in self.__dict__:
            self.session.commit()
            if self.opened is not None and not self.opened.is_over:
                self.opened.connection.commit()

    def close(self) -> None:
        """Ends the request's transaction; what was not committed is undone."""
        if "session" in self.__dict__:
            self.session.close()
        if self.opened is not None:
            self.opened.close()

    @property
    def principal(self) -> Principal:
        """The authenticated caller; 401 where there is none."""
        if self.caller is None:
            raise AuthenticationRequired(_("Send an access token: Authorization: Bearer …"))
        return self.caller

    @property
    def org_id(self) -> UUID:
        """The caller's organisation; 403 for a session without one."""
        if self.principal.org_id is None:
            raise OrganisationRequired(
                _("Create or join an organisation, then refresh with org_id.")
            )
        return self.principal.org_id

    @property
    def user_id(self) -> UUID:
        """The caller as a person in the organisation."""
        return self.principal.account_id

    @property
    def partner_id(self) -> UUID:
        """The partner that signed the request; 401 where none did."""
        if self.partner is None:
            raise AuthenticationRequired(_("This is for partner systems."))
        return self.partner.id


@dataclass
class Reply:
    """What a handler answers with.

    ``version`` marks an item: the reply then carries an ETag and honours ``If-None-Match``.
    ``no_store`` is for answers with secrets. ``stream`` makes a long body piece by piece, after
    the request's transaction: it opens its own, and holds none while the client reads. ``wait``
    is for an answer that can wait until it says more.
    """

    body: Any = None
    status: int = 200
    version: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    stream: Iterator[bytes] | None = None
    wait: Wait | None = None
