"""What is denied leaves a line in the log that says who was denied what."""

import io

from tests.edge.test_logs import lines, logging_to
from tests.jobs.running import eventually
from tests.world import Json, Org, World, refused


def request_line(log: io.StringIO) -> Json:
    """The line of the one request; it is written once the answer is sent."""
    eventually(lambda: '"event":"request"' in log.getvalue())
    (line,) = (line for line in lines(log) if line["event"] == "request")
    return line


class TestLog:
    def test_names_who_and_where_and_what_and_why(self, org: Org) -> None:
        person = org.member
        with logging_to() as log:
            problem = refused(person.get("/api/audit"), 403, "permission_denied")
            line = request_line(log)
        told = ("operation_id", "account_id", "org_id", "request_id", "status", "code")
        assert [line[name] for name in told] == [
            "list_audit_events", str(person.id), str(org.id), problem["request_id"],
            403, "permission_denied",
        ]  # fmt: skip

    def test_names_the_key_that_a_program_used(self, world: World, org: Org) -> None:
        key = org.admin.create_api_key("projects.read")
        program = world.with_key(key)
        with logging_to() as log:
            refused(program.get("/api/audit"), 403, "permission_denied")
            line = request_line(log)
        told = (line["via_key"], line["account_id"], line["code"])
        assert told == (key["api_key"]["id"], str(org.admin.id), "permission_denied")

    def test_tells_nobody_where_nobody_is_known(self, world: World) -> None:
        with logging_to() as log:
            refused(world.client().get("/api/audit"), 401, "authentication_required")
            line = request_line(log)
        assert line["code"] == "authentication_required"
        assert "account_id" not in line
