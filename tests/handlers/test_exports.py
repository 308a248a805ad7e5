"""What the organisation holds about somebody: asked for, made, downloaded once."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from bugtracker.embedded import Cluster
from bugtracker.exporting.endings import clear_due
from tests.exporting.fetching import asked, download, exported, files_of, finished, job_of
from tests.openings import admin_of
from tests.parallel import Standstill, at_once
from tests.repeating import is_replay, new_key
from tests.world import Caller, Json, Org, World, refused, without_id

pytestmark = pytest.mark.usefixtures("worker")

HELD = {
    "profile.json", "projects.json", "issues_reported.json", "issues_assigned.json",
    "comments.json", "events.json", "invitations.json", "api_keys.json", "manifest.json",
}  # fmt: skip
OWN = {"account.json", "memberships.json", "sessions.json"}

# Makes downloads of an organisation fail when all is done but COMMIT.
UNCOMMITTABLE = """
CREATE FUNCTION uncommittable() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'broken' USING ERRCODE = 'XX000'; END $$;
CREATE CONSTRAINT TRIGGER uncommittable AFTER UPDATE ON exports DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.org_id = '{org_id}') EXECUTE FUNCTION uncommittable();
"""


def full(org: Org, person: Caller) -> None:
    """Somebody who did a bit of everything, among others who did, too."""
    project = org.manager.create_project()
    theirs = person.create_issue(project, title="Mine, é 🐛")
    other = org.manager.create_issue(project, assignee_id=str(person.id), title="Given")
    org.manager.create_issue(project, title="None of theirs")
    person.create_comment(theirs, "Seen by me.")
    org.manager.create_comment(other, "Seen by somebody else.")


class TestExportUser:
    def test_of_oneself_has_all_that_is_held_and_the_account(self, world: World, org: Org) -> None:
        person, elsewhere = org.developer, world.create_org()
        full(org, person)
        world.join(person.id, elsewhere.id, "auditor")
        files = exported(person)
        assert set(files) == HELD | OWN
        assert (files["profile.json"]["email"], files["profile.json"]["role"]) == (
            person.email,
            "developer",
        )
        assert [each["title"] for each in files["issues_reported.json"]] == ["Mine, é 🐛"]
        assert [each["title"] for each in files["issues_assigned.json"]] == ["Given"]
        assert [each["content"] for each in files["comments.json"]] == ["Seen by me."]
        assert {each["org_id"] for each in files["memberships.json"]} == {
            str(org.id),
            str(elsewhere.id),
        }
        assert [each["id"] for each in files["sessions.json"]] == [str(person.session_id)]
        assert {"export.requested", "comment.created", "issue.created"} <= {
            each["action"] for each in files["events.json"]
        }
        manifest = files["manifest.json"]
        assert (manifest["schema_version"], manifest["requested_by"]) == (1, "the person")
        counted = {each["name"]: each["records"] for each in manifest["files"]}
        assert counted == {
            name: len(content) if isinstance(content, list) else 1
            for name, content in files.items()
            if name != "manifest.json"
        }

    def test_by_an_admin_has_what_the_organisation_holds_and_no_more(
        self, world: World, org: Org
    ) -> None:
        person = org.developer
        full(org, person)
        world.join(person.id, world.create_org().id, "owner")
        files = exported(org.admin, person.id)
        assert set(files) == HELD
        assert files["manifest.json"]["requested_by"] == "the organisation"
        assert len(files["comments.json"]) == 1

    def test_names_nobody_else(self, org: Org) -> None:
        address = f"{uuid4().hex}@example.com"
        org.admin.post("/api/invitations", {"email": address, "role": "member"})
        org.admin.post("/api/users", {"username": "harbourmaster", "role": "member"})
        org.admin.create_api_key()
        files = exported(org.admin)
        assert len(files["invitations.json"]) == len(files["api_keys.json"]) == 1
        assert {"invitation.created", "user.created"} <= {e["action"] for e in files["events.json"]}
        for name in (address, "harbourmaster"):
            assert name not in str(files)

    def test_has_no_secret_in_it(self, org: Org) -> None:
        org.admin.create_api_key()
        names = {name for file in exported(org.admin).values() for name in names_in(file)}
        assert {"prefix", "password_changed_at", "two_factor_enabled_at"} <= names
        for word in ("hash", "token", "seed", "encrypted", "secret"):
            assert not [name for name in names if word in name]

    def test_of_somebody_without_an_account_or_who_left(self, world: World, org: Org) -> None:
        imported = world.import_person(org, "oberon")
        assert exported(org.owner, imported)["profile.json"]["username"] == "oberon"
        org.admin.delete(f"/api/users/{org.member.id}", headers={"If-Match": "*"})
        assert exported(org.admin, org.member.id)["profile.json"]["removed_at"]

    def test_is_refused_to_others_and_to_programs(self, world: World, org: Org) -> None:
        path = f"/api/users/{org.member.id}/export"
        for caller in (org.manager, org.developer, org.auditor):
            refused(caller.post(path), 403, "permission_denied")
        refused(org.admin.post(f"/api/users/{org.owner.id}/export"), 403, "permission_denied")
        program = world.with_key(org.admin.create_api_key("users.read", "privacy.approve"))
        for target in (path, "/api/users/me/export"):
            refused(program.post(target), 403, "session_required")

    def test_of_somebody_elsewhere_is_like_nobody(self, world: World, org: Org) -> None:
        stranger = world.create_org().member
        for caller in (org.owner, org.member):
            answers = [
                refused(caller.post(f"/api/users/{user}/export"), 404, "resource_not_found")
                for user in (stranger.id, uuid4())
            ]
            assert without_id(answers[0]) == without_id(answers[1])

    def test_of_somebody_who_was_linked_is_that_of_the_member(self, world: World, org: Org) -> None:
        imported = world.import_person(org, "titania")
        before = asked(org.admin, imported)
        body = {"user_id": str(org.member.id)}
        assert org.admin.post(f"/api/users/{imported}/link", body).status_code == 200
        refused(org.admin.post(f"/api/users/{imported}/export"), 409, "user_linked")
        refused(download(org.admin, before), 409, "user_linked")

    def test_again_finds_the_one_at_work_and_later_replaces_what_was_not_fetched(
        self, org: Org, still: Standstill
    ) -> None:
        still.execute("LOCK TABLE export_chunks IN SHARE MODE")
        person = org.member
        answers = at_once([lambda: person.post("/api/users/me/export")] * 20)
        assert {answer.status_code for answer in answers} == {202}
        (job_id,) = {answer.json()["id"] for answer in answers}
        first = {"id": job_id}
        assert asked(org.admin, org.member.id)["id"] != job_id
        refused(download(org.member, first), 409, "export_not_ready")
        still.release()
        assert finished(org.member, first)["result_url"] == f"/api/exports/{job_id}/download"
        second = asked(org.member)
        assert second["id"] != job_id
        assert job_of(org.member, first)["result_url"] is None
        refused(download(org.member, first), 410, "export_gone")
        finished(org.member, second)
        assert download(org.member, second).status_code == 200

    def test_with_a_key_is_asked_for_once(self, org: Org) -> None:
        key = new_key()
        answers = [org.member.post("/api/users/me/export", headers=key) for _ in range(2)]
        assert is_replay(answers[1])
        assert answers[0].json()["id"] == answers[1].json()["id"]


class TestGetJob:
    def test_tells_how_far_it_is(self, org: Org, still: Standstill) -> None:
        still.execute("LOCK TABLE export_chunks IN SHARE MODE")
        job = asked(org.member)
        assert (job["state"], job["done"], job["result_url"]) == ("queued", 0, None)
        assert job["created_by_id"] == job["subject_id"] == str(org.member.id)
        still.release()
        done = finished(org.member, job)
        assert (done["state"], done["problem"]) == ("succeeded", None)
        assert done["done"] == done["total"] > 3
        assert done["created_at"] <= done["started_at"] <= done["finished_at"]
        assert done["result_expires_at"] > done["finished_at"]

    def test_is_for_whoever_started_it_and_admins_see_those_about_others(
        self, world: World, org: Org
    ) -> None:
        own, about = asked(org.member), asked(org.admin, org.member.id)
        for caller, job in (
            (org.admin, own), (org.owner, own), (org.member, about), (org.manager, about),
            (world.create_org().owner, own), (world.create_org().owner, about),
        ):  # fmt: skip
            problem = refused(caller.get(f"/api/jobs/{job['id']}"), 404, "resource_not_found")
            missing = refused(caller.get(f"/api/jobs/{uuid4()}"), 404, "resource_not_found")
            assert without_id(problem) == without_id(missing)
        finished(org.admin, about)
        assert job_of(org.owner, about)["result_url"] is None
        program = world.with_key(org.admin.create_api_key("users.read"))
        refused(program.get(f"/api/jobs/{about['id']}"), 403, "session_required")
        loner = world.create_loner()
        refused(loner.get(f"/api/jobs/{about['id']}"), 403, "organisation_required")


class TestDownloadExport:
    def test_is_once_and_leaves_nothing(self, world: World, org: Org) -> None:
        job = finished(org.member, asked(org.member))
        answer = download(org.member, job)
        assert answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-disposition"].startswith('attachment; filename="export-')
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert answer.headers["cache-control"] == "no-store"
        refused(download(org.member, job), 410, "export_gone")
        assert job_of(org.member, job)["result_url"] is None
        assert chunks(world, org) == 0
        actions = [event.action for event in world.events(org, job)]
        assert actions == ["export.requested", "export.ready", "export.downloaded"]

    def test_is_for_whoever_asked_and_still_may(self, world: World, org: Org) -> None:
        own = finished(org.member, asked(org.member))
        about = finished(org.admin, asked(org.admin, org.member.id))
        stranger = world.create_org().owner
        for caller, job in (
            (org.admin, own), (org.owner, about), (org.member, about), (stranger, own),
        ):  # fmt: skip
            refused(download(caller, job), 404, "resource_not_found")
        refused(download(org.member, {"id": str(uuid4())}), 404, "resource_not_found")
        world.set_role(org, org.admin, "manager")
        refused(download(org.admin, about), 403, "permission_denied")
        assert download(org.member, own).status_code == 200

    def test_ends_when_it_expires(self, world: World, org: Org) -> None:
        job = finished(org.member, asked(org.member))
        change(world, org, "expires_at = now()", job)
        refused(download(org.member, job), 410, "export_gone")
        assert chunks(world, org) == 1
        for _ in range(2):
            clear_due(world.runtime)
            assert chunks(world, org) == 0
        actions = [event.action for event in world.events(org, job)]
        assert actions == ["export.requested", "export.ready", "export.expired"]

    def test_that_cannot_be_committed_gives_nothing_away(self, cluster: Cluster, org: Org) -> None:
        job = finished(org.member, asked(org.member))
        admin = admin_of(cluster, org.world.runtime)
        admin.execute(UNCOMMITTABLE.format(org_id=org.id))
        try:
            refused(download(org.member, job), 500, "internal_error")
        finally:
            admin.execute("DROP FUNCTION uncommittable CASCADE")
        assert set(files_of(download(org.member, job).content)) == HELD | OWN
        refused(download(org.member, job), 410, "export_gone")

    def test_of_a_damaged_archive_uses_nothing_up(self, world: World, org: Org) -> None:
        job = finished(org.member, asked(org.member))
        with world.runtime.db.transaction(org_id=org.id) as session:
            # What belongs to another place does not open here.
            number = text("UPDATE exports SET chunk_count = 1 WHERE id = :id")
            session.execute(number, {"id": job["id"]})
            moved = text(
                "WITH taken AS (DELETE FROM export_chunks RETURNING *) INSERT INTO export_chunks"
                " SELECT org_id, export_id, number + 1, content_encrypted FROM taken"
            )
            session.execute(moved)
        refused(download(org.member, job), 500, "internal_error")
        assert job_of(org.member, job)["result_url"] is not None


def names_in(content: Any) -> set[str]:
    """The names of all fields, however deep."""
    parts = content if isinstance(content, list) else [content]
    own = {name for part in parts if isinstance(part, dict) for name in part}
    deeper = [v for p in parts if isinstance(p, dict) for v in p.values()]
    return own.union(*(names_in(v) for v in deeper if isinstance(v, dict | list)))


def chunks(world: World, org: Org) -> int:
    with world.runtime.db.transaction(org_id=org.id) as session:
        return int(session.scalar(text("SELECT count(*) FROM export_chunks")) or 0)


def change(world: World, org: Org, setting: str, job: Json) -> None:
    with world.runtime.db.transaction(org_id=org.id) as session:
        session.execute(text(f"UPDATE exports SET {setting} WHERE id = :id"), {"id": job["id"]})
