"""What Flask is told of a request."""

from urllib.parse import urlsplit

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
