"""The steps of a saga, each done in one transaction. They leave nothing that anybody could see or
use before the last one: no account is a member, and no token of the invitation exists.

The partner is written down in the organisation as somebody without a login: the project and the
invitation are its doing, and so it stands in the events.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bugtracker.errors import OrganisationSlugTaken
from bugtracker.ids import new_id
from bugtracker.messages import _
from bugtracker.models import Invitation, Member, OrganisationSettings, Partner, Provisioning
from bugtracker.models.organisation import DEFAULT_LANGUAGE
from bugtracker.models.partner import PARTNERS, StepName
from bugtracker.runtime import Runtime
from bugtracker.services import events, invitations, organisations, projects
from bugtracker.services.project_keys import derive_key

FIRST_PROJECT = "First project"


@dataclass(frozen=True)
class Work:
    """A saga that is locked, and what a step may use. The transaction is in its organisation."""

    runtime: Runtime
    session: Session
    saga: Provisioning
    partner: Partner
    now: datetime

    @property
    def by(self) -> events.Origin:
        """The partner, there and now."""
        return events.Origin(
            self.now,
            self.saga.organisation_id,
            actor_id=self.partner.id,
            request_id=self.saga.request_id,
        )

    @property
    def request(self) -> Mapping[str, Mapping[str, str]]:
        """What was asked for."""
        return self.saga.request or {}


def make_organisation(work: Work) -> None:
    """The organisation, and the partner as somebody in it. 409 when the slug is taken."""
    wanted, org_id = work.request["organisation"], work.saga.organisation_id
    slugs = organisations.slugs_for(wanted, work.runtime.settings.open_organisation)
    try:
        organisations.found(work.session, slugs, wanted["name"], work.by, org_id)
    except ValueError as error:
        raise OrganisationSlugTaken(_("Choose another slug.")) from error
    _write_down(work)


def _write_down(work: Work) -> None:
    person = Member(
        org_id=work.saga.organisation_id,
        user_id=work.partner.id,
        role="auditor",
        imported_from=PARTNERS,
        imported_username=work.partner.name,
        created_at=work.now,
        updated_at=work.now,
        version=1,
    )
    work.session.add(person)
    changes = events.created(username=work.partner.name, role=person.role)
    resource = events.Resource("user", person.user_id, person.version)
    events.append(work.session, work.by, "user.created", resource, changes)


def invite_owner(work: Work) -> None:
    """The owner's invitation. Whether or not the address has an account: nobody becomes a member
    who has not agreed."""
    email = work.request["owner"]["email"]
    invitation = Invitation(
        org_id=work.saga.organisation_id,
        id=new_id(),
        email=email,
        role="owner",
        invited_by_id=work.partner.id,
        expires_at=work.now + timedelta(seconds=work.runtime.settings.invitation_seconds),
        created_at=work.now,
        updated_at=work.now,
        version=1,
    )
    work.session.add(invitation)
    changes = events.created(email=email, role=invitation.role)
    resource = invitations.resource(invitation)
    events.append(work.session, work.by, "invitation.created", resource, changes)


def choose_settings(work: Work) -> None:
    """The organisation's settings: those asked for, else the defaults."""
    org_id, wanted = work.saga.organisation_id, work.request.get("settings", {})
    chosen = {"language": wanted.get("language", DEFAULT_LANGUAGE)}
    times = {"created_at": work.now, "updated_at": work.now}
    work.session.add(OrganisationSettings(org_id=org_id, **chosen, **times, version=1))
    resource = events.Resource("settings", org_id, 1)
    changes = events.created(**chosen)
    events.append(work.session, work.by, "settings.created", resource, changes)


def make_project(work: Work) -> None:
    """The first project."""
    wanted = work.request.get("project", {"name": FIRST_PROJECT})
    key = wanted.get("key") or derive_key(wanted["name"], ())
    projects.add_project(work.session, work.by, key, wanted["name"])


def send_invitation(work: Work) -> None:
    """The mail, with which the organisation is handed over. The job mints the token."""
    here = Invitation.org_id == work.saga.organisation_id
    invitation = work.session.scalars(select(Invitation).where(here)).one()
    settings = work.session.get_one(OrganisationSettings, work.saga.organisation_id)
    invitations.queue_invitation(work.runtime.queue, work.session, invitation, settings.language)
    resource = events.Resource("organisation", work.saga.organisation_id, 1)
    changes = events.created(partner=work.partner.name, reference=work.saga.reference)
    events.append(work.session, work.by, "organisation.provisioned", resource, changes)
    work.saga.state, work.saga.request = "completed", None


DOING: Mapping[StepName, Callable[[Work], None]] = {
    "organisation": make_organisation,
    "owner": invite_owner,
    "settings": choose_settings,
    "project": make_project,
    "invitation": send_invitation,
}
"""Each step by its name. How they are undone, the database's ``undo_provisioning_step`` knows."""
