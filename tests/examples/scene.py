"""The people and things that the contract's examples speak of, as rows of a database."""

from collections.abc import Callable
from functools import cached_property
from uuid import UUID

from sqlalchemy import make_url, text, update

from bugtracker.clock import utc_now
from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from bugtracker.models import Account, Member
from bugtracker.models.organisation import Role
from bugtracker.services import accounts, organisations
from bugtracker.services.events import Origin
from tests.authenticator import Authenticator
from tests.inviting import invited
from tests.jobs.running import eventually
from tests.partners import Partner, create_partner
from tests.registering import PASSWORD, Newcomer
from tests.world import Caller, Json, Org, World

ORGANISATION = "Analytical Engines"
DESCRIPTION = "Steps:\n\n1. Borrow a book\n2. Wait for the tide\n\nThe loan is gone."
FORGET = (
    "UPDATE accounts SET username = 'former-' || id, email = id || '@example.org'",
    "DELETE FROM usernames",
    "UPDATE organisations SET slug = 'former-' || id",
)
"""Those of earlier scenes give up the names that are anybody's once."""
IS_IDLE = """
SELECT NOT EXISTS (
  SELECT FROM jobs.procrastinate_jobs
  WHERE status = 'doing' OR (status = 'todo' AND coalesce(scheduled_at, now()) <= now())
)
"""


class Scene:
    """One organisation; whoever and whatever is in it is made on first use."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.anonymous = world.client()

    @cached_property
    def org(self) -> Org:
        slug = organisations.slug_of(ORGANISATION)
        with self.world.runtime.db.transaction() as session:
            by = Origin(utc_now(), None)
            org_id = organisations.ensure(session, slug, ORGANISATION, by)
        return Org(self.world, org_id, slug)

    @cached_property
    def charles(self) -> Caller:
        """The owner, who does all that is not said to be somebody else's."""
        return self._member("charles", "Charles Babbage", "owner")

    @cached_property
    def ada(self) -> Caller:
        return self._member("ada", "Ada Lovelace", "manager")

    @cached_property
    def grace(self) -> Caller:
        return self._member("grace", "Grace Hopper", "developer")

    @cached_property
    def imported(self) -> str:
        """Somebody who came with an import and has not logged in."""
        return str(self.world.import_person(self.org, "countess", "developer"))

    @cached_property
    def partner(self) -> Partner:
        return create_partner(self.world.runtime, self.anonymous)

    @cached_property
    def project(self) -> Json:
        text = "Catalogue and loans of the tidal archive."
        return self.charles.create_project(name="Tidal Library System", key="TLS", description=text)

    @cached_property
    def issue(self) -> Json:
        """In progress, in the hands of Grace."""
        fields = {"title": "Loans vanish at spring tide", "description": DESCRIPTION}
        more = {"priority": "high", "due_date": "2025-03-31", "assignee_id": str(self.grace.id)}
        return self.ada.create_issue(self.project, **fields, **more)

    @cached_property
    def comment(self) -> Json:
        content = "The date is compared as **text**. `tide.py` line 40."
        return self.charles.create_comment(self.issue, content)

    @cached_property
    def api_key(self) -> Json:
        scopes = ("comments.read", "issues.read", "projects.read")
        key: Json = self.charles.create_api_key(*scopes)["api_key"]
        return key

    @cached_property
    def webhook(self) -> Json:
        fields = {
            "description": "Chat room of the tide team",
            "event_types": ["issue.*", "comment.*"],
            "filter": "priority>=high",
        }
        webhook: Json = self.charles.create_webhook(**fields)["webhook"]
        return webhook

    @cached_property
    def delivery(self) -> str:
        """The event of it."""
        return self.charles.ping(self.webhook["id"])

    @cached_property
    def invitation(self) -> Json:
        return invited(self.charles, "grace@example.com")

    @cached_property
    def deletion_request(self) -> Json:
        """Of Ada, who asked for it herself."""
        answer = self.ada.post("/api/users/me/deletion-requests")
        assert answer.status_code == 201, answer.text
        request: Json = answer.json()
        return request

    def person(self, name: str) -> Newcomer:
        """Somebody at the keyboard, whether there is an account or not."""
        mails = self.world.runtime.settings.mail_dir
        return Newcomer(self.anonymous, mails, f"{name}@example.com", name, PASSWORD)

    def account(self, name: str, full_name: str) -> UUID:
        """A verified account in no organisation."""
        with self.world.runtime.db.transaction() as session:
            return accounts.create_account(
                session,
                email=f"{name}@example.com",
                username=name,
                name=full_name,
                password_hash=self.world.runtime.hasher.hash(PASSWORD),
                by=Origin(utc_now(), None),
            )

    def authenticator(self, name: str) -> Authenticator:
        """The second factor of a person, not enrolled yet."""
        return Authenticator(self.world.runtime, self.person(name))

    def _member(self, name: str, full_name: str, role: Role) -> Caller:
        account_id = self.account(name, full_name)
        self.world.join(account_id, self.org.id, role)
        self._logged_in(account_id)
        session_id, token = self.world.open_session(account_id, self.org.id)
        http = self.world.client(Authorization=f"Bearer {token}")
        return Caller(account_id, name, f"{name}@example.com", role, session_id, http)

    def _logged_in(self, account_id: UUID) -> None:
        """Some time ago."""
        then = {"last_login": utc_now(), "login_count": 17}
        with self.world.runtime.db.transaction(org_id=self.org.id) as session:
            session.execute(update(Account).where(Account.id == account_id).values(**then))
            session.execute(update(Member).where(Member.user_id == account_id).values(**then))


PLACES: dict[str, Callable[[Scene], str]] = {
    "project_id": lambda scene: scene.project["id"],
    "issue_id": lambda scene: scene.issue["id"],
    "comment_id": lambda scene: scene.comment["id"],
    "api_key_id": lambda scene: scene.api_key["id"],
    "webhook_id": lambda scene: scene.webhook["id"],
    "event_id": lambda scene: scene.delivery,
    "organisation_id": lambda scene: str(scene.org.id),
    "user_id": lambda scene: str(scene.ada.id),
    "invitation_id": lambda scene: scene.invitation["id"],
    "deletion_request_id": lambda scene: scene.deletion_request["id"],
}
"""What the parameters of paths name in a scene."""


def place(scene: Scene, path: str, **others: str) -> str:
    """A path of the contract, naming what is in the scene, or ``others``."""
    for name in PLACES.keys() - others.keys():
        if f"{{{name}}}" in path:
            others[name] = PLACES[name](scene)
    return path.format(**others)


class Stage:
    """A server of its own, with one scene after another."""

    def __init__(self, world: World, cluster: Cluster) -> None:
        url = world.runtime.settings.database_url
        assert url is not None
        self.world = world
        self.admin_url = cluster.admin_url(make_url(url.get_secret_value()).database or "")
        engine = owner_engine(self.admin_url)
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def scene(self) -> Scene:
        """A scene whose names are nobody's yet, and without mails, of which none is on its way."""
        eventually(self._is_idle)
        # One by one: a job that begins just now may hold some of the rows.
        with self._engine.connect() as connection:
            for statement in FORGET:
                connection.execute(text(statement))
        for mail in self.world.runtime.settings.mail_dir.glob("*.eml"):
            mail.unlink()
        return Scene(self.world)

    def _is_idle(self) -> bool:
        with self._engine.connect() as connection:
            return bool(connection.execute(text(IS_IDLE)).scalar_one())
