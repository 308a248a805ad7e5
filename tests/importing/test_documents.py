"""Search documents that an import makes are those that the triggers would have written."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bugtracker.embedded import Cluster
from tests.importing.archive import comment, issue
from tests.importing.conftest import Target
from tests.openings import Admin, admin_of

BROKEN = "Broken by a test of documents"
MADE_ANEW = """
CREATE TEMP TABLE kept_issues ON COMMIT DROP AS SELECT * FROM issues WHERE org_id = '{org}';
CREATE TEMP TABLE kept_comments ON COMMIT DROP AS SELECT * FROM comments WHERE org_id = '{org}';
DELETE FROM issues WHERE org_id = '{org}';
INSERT INTO issues SELECT * FROM kept_issues;
INSERT INTO comments SELECT * FROM kept_comments;
"""


def documents(target: Target) -> dict[str, str]:
    """All documents, by what they are about."""
    both = (
        "SELECT 'issue ' || issue_id AS about, project_id, document::text FROM issue_documents"
        " UNION ALL"
        " SELECT 'comment ' || comment_id, project_id, document::text FROM comment_documents"
    )
    return {row["about"]: f"{row['project_id']} {row['document']}" for row in target.rows(both)}


def written_by_triggers(target: Target, cluster: Cluster) -> dict[str, str]:
    """The documents after all issues and comments were inserted once more, without any."""
    runtime = target.org.world.runtime
    admin = admin_of(cluster, runtime)
    admin.execute(f"DO $$ BEGIN {MADE_ANEW.format(org=target.org.id)} END $$")
    return documents(target)


@contextmanager
def broken(admin: Admin) -> Iterator[None]:
    """A database that does not take issues of this title."""
    admin.execute(f"ALTER TABLE issues ADD CONSTRAINT broken CHECK (title <> '{BROKEN}')")
    yield
    admin.execute("ALTER TABLE issues DROP CONSTRAINT broken")


def babble(n: int) -> str:
    return " ".join(f"w{n}x{word}" for word in range(180))


class TestDocuments:
    def test_of_new_issues_are_the_triggers(self, target: Target, cluster: Cluster) -> None:
        said = (comment("**ebb** and `flood`", 3), comment("neap", 1), comment("", 3))
        long = "A sentence of a long story.\n\n" * 400
        kinds: list[Any] = [
            issue(1, said, title="Tides", body="Slack *water*"),
            issue(2, body=""),
            issue(3, (comment(long),), body=long),
        ]
        kinds += [issue(n, (comment(f"remark {n}"),)) for n in range(4, 300)]
        assert target.take_issues(*kinds).exit_code == 0
        made = documents(target)
        assert len(made) == sum(target.counts()[2:4])
        assert made == written_by_triggers(target, cluster)

    def test_of_more_words_than_one_holds_are_the_triggers(
        self, target: Target, cluster: Cluster
    ) -> None:
        target.take_issues(issue(1, tuple(comment(babble(n), n) for n in range(400))))
        made = documents(target)
        assert len(made) == 401
        assert made == written_by_triggers(target, cluster)

    def test_of_new_comments_on_known_issues_are_written_beside_those_of_new_ones(
        self, target: Target, cluster: Cluster
    ) -> None:
        target.take_issues(issue(1, (comment("ebb", 1),)))
        more = (comment("ebb", 1), comment("flood", 2))
        target.take_issues(issue(1, more), issue(2, (comment("neap"),)))
        made = documents(target)
        assert len(made) == 5
        assert made == written_by_triggers(target, cluster)

    def test_of_a_batch_too_large_to_have_beside_are_the_triggers(
        self, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bugtracker.importing.documents.MOST_CHARACTERS", 100)
        target.take_issues(issue(1, (comment("ebb", 1),)), issue(2))
        assert len(documents(target)) == 3

    def test_of_a_dry_run_and_of_a_file_that_fails_are_not_kept(
        self, target: Target, cluster: Cluster
    ) -> None:
        before = target.counts()
        target.take_issues(issue(1, (comment(),)), dry_run=True)
        assert target.counts() == before
        issues = [issue(n, (comment(),)) for n in range(1, 300)]
        with broken(admin_of(cluster, target.org.world.runtime)):
            report = target.take_issues(*issues, issue(300, title=BROKEN))
        assert report.files[0].failed
        assert target.counts() == before
        target.take_issues(issue(2, (comment("neap"),)))
        assert len(documents(target)) == sum(target.counts()[2:4]) == 2
