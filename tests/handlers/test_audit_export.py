"""The audit log as a file: all of it, harmless in a spreadsheet, made while it is sent."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from jsonschema_rs import Draft202012Validator
from pydantic import SecretStr
from sqlalchemy import NullPool, create_engine, text

from bugtracker.app import create_app, create_runtime
from bugtracker.audit.export import BATCH, HEADER
from bugtracker.audit.sealing import seal_now
from bugtracker.contract import Contract
from bugtracker.embedded import Cluster
from bugtracker.runtime import Runtime
from bugtracker.schemas import to_2020_12
from bugtracker.settings import Settings
from tests.serving import serve
from tests.world import Caller, Json, Org, World, refused

PATH = "/api/audit/export"
HOSTILE = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(\"http://x\",\"y\")", "a;=1+1",
    "a\n=1", "a\r\n@x", "\uff1d1+1", "\uff20x", ";-1", '"=1', "plain, with \"quotes\"",
    "Zoë 🐛", "a=b",
]  # fmt: skip
STARTS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def title_of(value: str) -> str:
    """The value without what no title may have."""
    return " ".join(value.split())


def rows_of(content: bytes) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(content.decode(), newline=""))
    return list(reader)


def exported(caller: Caller, **query: Any) -> list[dict[str, str]]:
    response = caller.get(PATH, params=query)
    assert response.status_code == 200, response.text
    return rows_of(response.content)


def lines(caller: Caller, **query: Any) -> list[Json]:
    response = caller.get(PATH, params={"format": "ndjson", **query})
    assert response.status_code == 200, response.text
    return [orjson.loads(line) for line in response.content.splitlines()]


def listed(caller: Caller, **query: Any) -> list[Json]:
    response = caller.get("/api/audit", params={"limit": 100, "sort": "created_at", **query})
    items: list[Json] = response.json()["items"]
    return items


FILL = """
    INSERT INTO events (id, org_id, number, action, resource_type, resource_id, resource_version,
                        changes, created_at)
    SELECT gen_random_uuid(), :org, 1000 + n, 'issue.updated', 'issue', gen_random_uuid(), 1,
           '{"title": ["Ebb", "Flood"]}', now() - n % 7 * interval '1 minute'
    FROM generate_series(1, :count) n
"""


def fill(cluster: Cluster, database: str, org_id: object, count: int) -> None:
    engine = create_engine(cluster.admin_url(database), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(FILL), {"org": org_id, "count": count})


class TestExport:
    def test_holds_what_the_list_shows_oldest_first(self, org: Org) -> None:
        issue = org.manager.create_issue(org.manager.create_project())
        org.developer.create_comment(issue)
        assert org.auditor.id
        # Otherwise a worker may give the events their numbers between the two answers.
        seal_now(org.world.runtime, org.id)
        assert lines(org.auditor) == listed(org.auditor)

    def test_every_line_is_an_event_of_the_contract(self, org: Org, contract: Contract) -> None:
        org.manager.create_project()
        schemas = to_2020_12(contract.document["components"]["schemas"])
        schema = {**schemas["AuditEvent"], "components": {"schemas": schemas}}
        validator = Draft202012Validator(schema, validate_formats=True)
        assert all(validator.is_valid(line) for line in lines(org.owner))

    def test_is_csv_unless_asked_otherwise(self, org: Org) -> None:
        issue = org.manager.create_issue(org.manager.create_project(), title="Ebb")
        response = org.admin.get(PATH, params={"resource_id": issue["id"]})
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        assert response.headers["content-disposition"].startswith('attachment; filename="audit-')
        assert response.headers["content-disposition"].endswith('Z.csv"')
        assert "content-length" not in response.headers
        assert response.content.startswith(",".join(HEADER).encode() + b"\r\n")
        [row] = rows_of(response.content)
        assert row["action"] == "issue.created"
        assert row["actor_username"] == org.manager.username
        assert row["resource_id"] == row["issue_id"] == issue["id"]
        assert row["created_at"] == listed(org.admin, resource_id=issue["id"])[0]["created_at"]
        assert orjson.loads(row["changes"])["title"] == [None, "Ebb"]

    def test_obeys_the_filters_of_the_list(self, org: Org) -> None:
        issue = org.manager.create_issue(org.manager.create_project())
        org.developer.create_comment(issue)
        queries: list[Json] = [
            {"action": "issue.*"}, {"actor": str(org.developer.id)}, {"resource_type": "comment"},
            {"created_before": "2001-01-01T00:00:00Z"},
        ]  # fmt: skip
        for query in queries:
            expected = [event["id"] for event in listed(org.admin, **query)]
            assert [row["id"] for row in exported(org.admin, **query)] == expected

    def test_goes_over_many_batches_and_misses_nothing(
        self, org: Org, cluster: Cluster, database: str
    ) -> None:
        count = 2 * BATCH + 17
        fill(cluster, database, org.id, count)
        rows = exported(org.owner, action="issue.updated")
        assert len({row["id"] for row in rows}) == len(rows) == count
        order = [(row["created_at"], row["id"]) for row in rows]
        assert order == sorted(order)

    @pytest.mark.parametrize("role", ["owner", "admin", "auditor"])
    def test_is_for_who_may_read_the_log(self, org: Org, role: Any) -> None:
        assert exported(org.caller(role))

    @pytest.mark.parametrize("role", ["manager", "developer", "member"])
    def test_is_for_nobody_else(self, org: Org, role: Any) -> None:
        refused(org.caller(role).get(PATH), 403, "permission_denied")

    def test_holds_nothing_of_another_organisation(self, org: Org, world: World) -> None:
        theirs = world.create_org().manager.create_project()
        org.manager.create_project()
        assert theirs["id"].encode() not in org.owner.get(PATH).content

    def test_of_another_format_is_refused(self, org: Org) -> None:
        refused(org.owner.get(PATH, params={"format": "xlsx"}), 400, "request_invalid")
        refused(org.owner.get(PATH, params={"action": "x"}), 400, "request_invalid")

    def test_head_has_no_body(self, org: Org) -> None:
        response = org.owner.http.head(PATH)
        assert (response.status_code, response.content) == (200, b"")
        assert org.owner.get("/api/auth/me").status_code == 200


class TestHostileValues:
    @pytest.fixture
    def rows(self, org: Org, world: World) -> list[dict[str, str]]:
        with world.runtime.db.transaction() as session:
            for value in HOSTILE:
                person = org.caller("developer", value)
                session.execute(
                    text("UPDATE accounts SET name = :name WHERE id = :id"),
                    {"name": value, "id": person.id},
                )
        project = org.manager.create_project()
        for value in HOSTILE:
            org.caller("developer", value).create_issue(project, title=title_of(value))
        return exported(org.owner, action="issue.created")

    def test_no_cell_begins_like_a_formula(self, rows: list[dict[str, str]]) -> None:
        assert len(rows) == len(HOSTILE)
        for row in rows:
            for cell in row.values():
                assert not cell.startswith(tuple(STARTS)), cell

    def test_nor_does_one_in_a_country_of_semicolons(self, org: Org, rows: Any) -> None:
        raw = org.owner.get(PATH, params={"action": "issue.created"}).text
        for line in csv.reader(io.StringIO(raw, newline=""), delimiter=";"):
            for cell in line:
                assert not cell.startswith(tuple(STARTS)), cell

    def test_what_is_harmless_stays_as_it_is(self, rows: list[dict[str, str]]) -> None:
        names = [row["actor_name"] for row in rows]
        for value in ('plain, with "quotes"', "Zoë 🐛", "a=b"):
            assert value in names
        assert "'=1+1" in names
        assert "a;'=1+1" in names

    def test_the_changes_are_json_with_the_values_as_they_are(
        self, rows: list[dict[str, str]]
    ) -> None:
        titles = [orjson.loads(row["changes"])["title"][1] for row in rows]
        assert titles == [title_of(value) for value in HOSTILE]


@pytest.fixture
def alone(own_database: str, cluster: Cluster, settings: Settings) -> Iterator[Runtime]:
    """A runtime on a database of its own, with a pool of few connections."""
    url = SecretStr(cluster.api_url(own_database))
    runtime = create_runtime(
        settings.model_copy(update={"database_url": url, "threads": 1, "log_level": "INFO"})
    )
    yield runtime
    runtime.db.close()


class TestStream:
    def test_who_reads_slowly_keeps_no_connection(
        self, org: Org, world: World, runtime: Runtime, cluster: Cluster, database: str
    ) -> None:
        fill(cluster, database, org.id, 20_000)
        # The hook of the shared client would read the whole body.
        headers = {"Authorization": org.owner.http.headers["Authorization"]}
        slow: list[httpx.Response] = []
        with httpx.Client(base_url=world.url, headers=headers, timeout=30) as client:
            for _ in range(runtime.settings.threads + 8):
                request = client.build_request("GET", PATH)
                slow.append(client.send(request, stream=True))
            assert {response.status_code for response in slow} == {200}
            assert org.owner.get("/api/auth/me").status_code == 200
            first = next(slow[0].iter_bytes())
            assert first.startswith(b"number,id")
            for response in slow:
                response.close()

    def test_a_failure_in_the_middle_cuts_the_file_short(
        self, alone: Runtime, world: World, cluster: Cluster, own_database: str
    ) -> None:
        there = World(alone, "", world.conformance)
        with serve(create_app(alone)) as server:
            there.url = server.url
            org = there.create_org()
            fill(cluster, own_database, org.id, 20_000)
            owner = org.owner
            headers = {"Authorization": owner.http.headers["Authorization"]}
            with (
                httpx.Client(base_url=server.url, headers=headers, timeout=30) as client,
                client.stream("GET", PATH) as response,
            ):
                assert response.status_code == 200
                pieces = response.iter_raw()
                next(pieces)
                engine = create_engine(cluster.admin_url(own_database), poolclass=NullPool)
                with engine.begin() as connection:
                    connection.execute(text("REVOKE SELECT ON events FROM bugtracker_app"))
                with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                    for _ in pieces:
                        pass
            problem = owner.get("/api/audit/export")
            assert problem.status_code == 500
            there.close()

    def test_who_leaves_ends_it(
        self, org: Org, world: World, runtime: Runtime, cluster: Cluster, database: str
    ) -> None:
        fill(cluster, database, org.id, 20_000)
        headers = {"Authorization": org.owner.http.headers["Authorization"]}
        with (
            httpx.Client(base_url=world.url, headers=headers, timeout=30) as client,
            client.stream("GET", PATH) as response,
        ):
            next(response.iter_raw())
        assert org.owner.get("/api/auth/me").status_code == 200
