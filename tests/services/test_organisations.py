"""Founding and joining organisations."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from bugtracker.clock import utc_now
from bugtracker.models import Event, Member
from bugtracker.runtime import Runtime
from bugtracker.services import organisations
from bugtracker.services.events import Origin
from tests.world import World

BY = Origin(utc_now(), None)


class TestSlug:
    @pytest.mark.parametrize(
        ("name", "slug"),
        [
            ("Analytical Engines", "analytical-engines"),
            ("  Ünder — Sea & Co.  ", "under-sea-co"),
            ("--", "organisation"),
            ("東京", "organisation"),
            ("a" * 49 + " b", "a" * 49),
            ("'; DROP TABLE", "drop-table"),
        ],
    )
    def test_has_letters_digits_and_single_hyphens(self, name: str, slug: str) -> None:
        assert organisations.slug_of(name) == slug


class TestFound:
    def test_takes_the_first_free_slug(self, runtime: Runtime) -> None:
        slug = uuid4().hex
        with runtime.db.transaction() as session:
            first = organisations.found(session, [slug, f"{slug}-2"], "One", BY)
            second = organisations.found(session, [slug, f"{slug}-2"], "Two", BY)
            assert organisations.organisation_by_slug(session, slug) == first
            assert organisations.organisation_by_slug(session, f"{slug}-2") == second

    def test_fails_when_none_is_free(self, runtime: Runtime) -> None:
        slug = uuid4().hex
        with runtime.db.transaction() as session:
            organisations.found(session, [slug], "One", BY)
            with pytest.raises(ValueError, match="exists already"):
                organisations.found(session, [slug], "Two", BY)


class TestAddMember:
    def joined(self, runtime: Runtime, org_id: UUID) -> list[tuple[str, dict[str, object]]]:
        with runtime.db.transaction(org_id=org_id) as session:
            events = select(Event).where(Event.resource_type == "user").order_by(Event.id)
            return [(event.action, event.changes) for event in session.scalars(events)]

    def test_records_joining_and_each_new_role_once(self, world: World) -> None:
        org, (account_id, _) = world.create_org(), world.create_account()
        for role in ("member", "member", "admin"):
            world.join(account_id, org.id, role)
        assert self.joined(world.runtime, org.id) == [
            ("member.joined", {"role": [None, "member"]}),
            ("member.role_changed", {"role": ["member", "admin"]}),
        ]

    def test_takes_somebody_back(self, world: World) -> None:
        org, (account_id, _) = world.create_org(), world.create_account()
        world.join(account_id, org.id, "admin")
        with world.runtime.db.transaction(org_id=org.id) as session:
            member = session.get_one(Member, (org.id, account_id))
            member.removed_at = utc_now()
        world.join(account_id, org.id, "auditor")
        with world.runtime.db.transaction(org_id=org.id) as session:
            member = session.get_one(Member, (org.id, account_id))
            assert (member.role, member.removed_at) == ("auditor", None)
