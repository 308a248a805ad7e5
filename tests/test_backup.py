"""A copy of everything, and the way back, tried for real."""

import json
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from bugtracker.audit.sealing import seal_all
from bugtracker.audit.verifying import verify
from bugtracker.backup import DUMP, MANIFEST, BackupError, backup, restore
from bugtracker.db import Database
from bugtracker.embedded import Cluster
from bugtracker.migrate import migrate
from bugtracker.settings import Settings
from tests.world import World


def populate(world: World) -> UUID:
    """An organisation with sealed events."""
    org = world.create_org()
    issue = org.manager.create_issue(org.manager.create_project())
    for turn in range(3):
        org.developer.create_comment(issue, f"The {turn}. tide is wrong, too: ä€𝄞")
    with world.runtime.db.transaction() as session:
        session.execute(text("SELECT number_events()"))
    seal_all(world.runtime)
    return org.id


class TestBackup:
    def test_what_comes_back_is_what_was_there(
        self, cluster: Cluster, empty_world: World, tmp_path: Path
    ) -> None:
        org_id = populate(empty_world)
        settings = empty_world.runtime.settings
        name = owner_url(settings).rsplit("/", 1)[1].split("?")[0]
        target = f"restored_{uuid4().hex}"
        made = backup(cluster.admin_url(name), tmp_path / "copy")
        assert (tmp_path / "copy").stat().st_mode & 0o077 == 0
        assert made.rows["public.comments"] == 3
        cluster.ensure_database(target)
        restore(cluster.admin_url(target), tmp_path / "copy")
        migrate(cluster.owner_url(target), cluster.api_url(target))
        db = Database(cluster.api_url(target), pool_size=1)
        with db.transaction(org_id=org_id) as session:
            report = verify(session, empty_world.runtime.keyring, org_id)
            assert report.ok
            assert report.seal is not None
            found = session.scalars(text("SELECT content FROM comments ORDER BY id")).all()
            assert [each[:7] for each in found] == ["The 0. ", "The 1. ", "The 2. "]
            # Row-level security, rights and functions are back as well.
            session.execute(text("SELECT number_events()"))
        with db.transaction() as session:
            assert session.scalar(text("SELECT count(*) FROM issues")) == 0
        db.close()
        with pytest.raises(BackupError, match="not empty"):
            restore(cluster.admin_url(target), tmp_path / "copy")
        cluster.drop_database(target)

    def test_a_login_that_policies_bind_is_refused(
        self, cluster: Cluster, own_database: str, tmp_path: Path
    ) -> None:
        with pytest.raises(BackupError, match="BYPASSRLS"):
            backup(cluster.owner_url(own_database), tmp_path / "copy")

    def test_a_damaged_copy_is_refused(
        self, cluster: Cluster, own_database: str, tmp_path: Path
    ) -> None:
        copy, target = tmp_path / "copy", f"restored_{uuid4().hex}"
        backup(cluster.admin_url(own_database), copy)
        with pytest.raises(BackupError, match="exists already"):
            backup(cluster.admin_url(own_database), copy)
        cluster.ensure_database(target)
        manifest = json.loads((copy / MANIFEST).read_text())
        manifest["rows"]["public.accounts"] += 1
        (copy / MANIFEST).write_text(json.dumps(manifest))
        with pytest.raises(BackupError, match=r"public\.accounts"):
            restore(cluster.admin_url(target), copy)
        with (copy / DUMP).open("ab") as file:
            file.write(b"\0")
        with pytest.raises(BackupError, match="is not the file"):
            restore(cluster.admin_url(target), copy)
        cluster.drop_database(target)


def owner_url(settings: Settings) -> str:
    assert settings.owner_database_url is not None
    return settings.owner_database_url.get_secret_value()
