"""A run of all tests fails when a documented answer was given in none."""

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
from tests.answers import AnswersPlugin

def pytest_configure(config):
    config.pluginmanager.register(AnswersPlugin(lambda: {{("get_tide", "404", "tide_{name}")}}))
"""
TESTS = """
from tests.conformance import ANSWERED

def test_low(): pass

def test_high(): {giving}
"""
GIVING = 'ANSWERED.add(("get_tide", "404", "tide_{name}"))'


@pytest.mark.parametrize(
    ("is_given", "arguments", "status"),
    [
        (False, "", 1),
        (True, "", 0),
        (False, "-n1", 1),
        (True, "-n1", 0),
        (False, "-k low", 0),
        (False, "test_tides.py", 0),
        (False, "--deselect test_tides.py::test_low", 0),
        (False, "--collect-only", 0),
    ],
)
def test_only_a_whole_run_fails_for_what_is_missing(
    pytester: pytest.Pytester, is_given: bool, arguments: str, status: int
) -> None:
    # In-process runs see what the tests around them were answered: each has an answer of its own.
    name = pytester.path.name
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\ntestpaths = ["."]')
    pytester.makeconftest(CONFTEST.format(name=name))
    giving = GIVING.format(name=name) if is_given else "pass"
    pytester.makepyfile(test_tides=TESTS.format(giving=giving))
    result = pytester.runpytest_inprocess(*arguments.split())
    assert result.ret == status
    told = f"*get_tide 404 tide_{name}*"
    (result.stdout.fnmatch_lines if status else result.stdout.no_fnmatch_line)(told)
