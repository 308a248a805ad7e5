"""The samples of code that the contract shows, run against a server as they stand."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from bugtracker.contract import load_contract
from tests.examples.scene import Scene, Stage
from tests.jobs.running import eventually
from tests.registering import tokens_of

OPERATIONS = load_contract().operations.values()
Run = Callable[[dict[str, str], str], str]
"""Variables and source → what was printed."""


@contextmanager
def shell() -> Iterator[Run]:
    def run(variables: dict[str, str], source: str) -> str:
        command = ["bash", "-euo", "pipefail", "-c", source]
        ran = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    yield run


# One process for all, as starting each and importing httpx takes most of the time.
INTERPRETER = """
import contextlib, io, json, os, sys
for line in sys.stdin:
    variables, source = json.loads(line)
    os.environ.update(variables)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(source, {"__name__": "__main__"})
    print(json.dumps(printed.getvalue()), flush=True)
"""


@contextmanager
def python() -> Iterator[Run]:
    command = [sys.executable, "-c", INTERPRETER]
    with subprocess.Popen(command, text=True, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdin
        assert process.stdout
        given, shown = process.stdin, process.stdout

        def run(variables: dict[str, str], source: str) -> str:
            print(json.dumps([variables, source]), file=given, flush=True)
            line = shown.readline()
            assert line, "it failed: see stderr"
            return str(json.loads(line))

        yield run


RUNNERS: dict[str, Callable[[], AbstractContextManager[Run]]] = {"Shell": shell, "Python": python}
PRINTED = {
    "login": "Bearer",
    "refresh": "Bearer",
    "get_me": "charles",
    "create_project": "HARB",
    "list_issues": "Loans vanish at spring tide",
    "list_all_issues": "TLS-1",
    "create_issue": "TLS-2",
    "update_issue": "in_progress",
    "create_comment": "The date is compared as **text**.",
    "search": "issue",
    "create_webhook": "whsec_",
    "create_api_key": "bt_",
    "follow_events": "issue.created",
}
"""What a sample in either language shows in the end."""


def with_more_issues(scene: Scene) -> None:
    """Newer ones, so that the first comes on the second page."""
    scene.world.copy_issues(scene.org, scene.charles.create_project(), 100)


def with_numbered_events(scene: Scene) -> None:
    def seen() -> bool:
        feed = scene.charles.get("/api/events?after=beginning&types=issue.*").json()
        return bool(feed["items"])

    eventually(seen)


PREPARED: dict[str, Callable[[Scene], object]] = {
    "list_all_issues": with_more_issues,
    "follow_events": with_numbered_events,
}
"""What has to be besides an issue."""


def samples_of(operation: Any) -> Iterator[tuple[str, str]]:
    for sample in operation.raw.get("x-codeSamples", ()):
        yield sample["lang"], sample["source"]


def environment(scene: Scene) -> dict[str, str]:
    """What the samples take from it, and nothing else of ours."""
    return {
        "PATH": os.environ["PATH"],
        "BUGTRACKER_URL": scene.world.url,
        "TOKEN": scene.charles.authorization["Authorization"].removeprefix("Bearer "),
        "PROJECT_ID": scene.issue["project_id"],
        "REFRESH_TOKEN": tokens_of(scene.person("ada").login())["refresh_token"],
    }


def test_each_sample_is_run_and_is_there_in_both_languages() -> None:
    found = {each.id: {lang for lang, _ in samples_of(each)} for each in OPERATIONS}
    assert {name: langs for name, langs in found.items() if langs} == {
        name: set(RUNNERS) for name in PRINTED
    }


@pytest.mark.parametrize("language", RUNNERS)
def test_samples_do_what_they_say(stage: Stage, language: str) -> None:
    with RUNNERS[language]() as run:
        for operation in OPERATIONS:
            for source in (source for lang, source in samples_of(operation) if lang == language):
                scene = stage.scene()
                variables = environment(scene)
                PREPARED.get(operation.id, bool)(scene)
                assert PRINTED[operation.id] in run(variables, source), operation.id


def test_a_file_that_belongs_to_no_operation_is_found(tmp_path: Path) -> None:
    (tmp_path / "root.yaml").write_text("{openapi: 3.0.3, info: {title: T}, paths: {}}")
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "get_tide.py").write_text("print()")
    with pytest.raises(ValueError, match=r"get_tide\.py is no sample of an operation"):
        load_contract(tmp_path / "root.yaml")
