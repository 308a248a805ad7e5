"""What Flask is told of a request."""

from urllib.parse import urlsplit
from uuid import uuid4

from sqlalchemy import select

from bugtracker.models import Session
from bugtracker.runtime import Runtime
from tests.raw import Raw
from tests.world import PASSWORD, Org


class TestHeaders:
    def test_are_not_mistaken_for_each_other(self, runtime: Runtime, org: Org) -> None:
        """Only the name of the browser is read from there. WSGI writes dashes as underscores."""
        caller, url = org.developer, urlsplit(org.world.url)
        raw = Raw(str(url.hostname), url.port or 0, caller.authorization["Authorization"])
        body = f'{{"email":"{caller.email}","password":"{PASSWORD}"}}'.encode()
        for headers in (
            ("User-Agent: right", "User_Agent: wrong"),
            ("User_Agent: wrong", "User-Agent: twice", "User-Agent: given"),
            ("User_Agent: wrong",),
        ):
            assert raw.post("/api/auth/login", body, *headers).status == 200
        agents = select(Session.user_agent).where(Session.account_id == caller.id)
        with runtime.db.transaction(account_id=caller.id) as session:
            found = list(session.scalars(agents.order_by(Session.created_at)))
        assert found == [None, "right", "twice, given", None]

    def test_are_not_for_flask_to_judge(self, org: Org) -> None:
        """It would answer a host that it cannot read, or a WebSocket, by itself, in HTML."""
        url, authorization = urlsplit(org.world.url), org.member.authorization["Authorization"]
        limited = f"POST /api/exports/{uuid4()}/download HTTP/1.1"
        for headers in (
            ("Host: a..b",),
            (f"Host: {'a' * 64}.example",),
            ("Host: test", "Connection: Upgrade", "Upgrade: websocket"),
        ):
            lines = [limited, *headers, f"Authorization: {authorization}", "", ""]
            raw = Raw(str(url.hostname), url.port or 0, authorization)
            answer = raw.exchange("\r\n".join(lines).encode(), "POST")
            assert (answer.status, answer.code) == (404, "resource_not_found")
