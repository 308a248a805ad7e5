"""bugtracker partners"""

from dataclasses import replace
from uuid import uuid4

import httpx
import pytest

from tests.cli.conftest import Run
from tests.partners import Partner
from tests.world import refused

REFUSED = (401, "partner_credentials_invalid")


@pytest.fixture
def name() -> str:
    return f"Acme {uuid4().hex[:10]}"


def shown(run: Run, http: httpx.Client, *arguments: str) -> Partner:
    """The partner with what a command printed."""
    result = run("partners", *arguments)
    assert result.exit_code == 0, result.output
    (_, key), (_, secret) = (line.split() for line in result.stdout.splitlines())
    return Partner(arguments[1], key, secret, http)


def works(partner: Partner) -> bool:
    answer = partner.status("nothing")
    if answer.status_code == 401:
        refused(answer, *REFUSED)
    return answer.status_code == 404


class TestPartners:
    def test_come_rotate_and_go(self, run: Run, anonymous: httpx.Client, name: str) -> None:
        first = shown(run, anonymous, "create", name)
        assert works(first)
        assert not works(replace(first, secret=first.key))
        second = shown(run, anonymous, "rotate", name)
        assert works(first)
        assert works(second)
        third = shown(run, anonymous, "rotate", name.upper(), "--overlap", "0")
        assert [works(each) for each in (first, second, third)] == [False, False, True]
        (line,) = (line for line in run("partners", "list").stdout.splitlines() if name in line)
        assert line.endswith(third.key[:11])
        for _ in range(2):
            assert run("partners", "disable", name).exit_code == 0
        assert not works(third)
        (line,) = (line for line in run("partners", "list").stdout.splitlines() if name in line)
        assert "disabled 20" in line
        listed = run("partners", "list").output
        assert not any(secret in listed for secret in (third.secret, third.key))

    def test_are_told_what_cannot_be_done(self, run: Run, name: str) -> None:
        for command in ("rotate", "disable"):
            result = run("partners", command, name)
            assert (result.exit_code, result.output) == (
                1,
                f"Error: there is no partner {name!r}\n",
            )
        assert run("partners", "create", name).exit_code == 0
        taken = run("partners", "create", name.lower())
        assert taken.exit_code == 1
        assert "already" in taken.output
        run("partners", "disable", name)
        assert f"the partner {name!r} is disabled" in run("partners", "rotate", name).output
        for bad in ("", "a\nb", "x" * 51, "<b>"):
            assert run("partners", "create", bad).exit_code == 2
        assert run("partners", "rotate", name, "--overlap", "-1").exit_code == 2
