"""The pipeline: pinned, with few rights, and calling only what there is."""

import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {
    path.stem: yaml.safe_load(path.read_text()) for path in FILES
}
JOBS = [
    (f"{name}.{key}", job) for name, each in WORKFLOWS.items() for key, job in each["jobs"].items()
]
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.M))
CALLS = re.compile(r"(?:^|\s)(?:make|\.ci/run)((?: +[a-z][a-z0-9-]*)+)")
# Who may do more than read, and what.
WRITES = {"image.publish": {"packages", "id-token"}}


def scripts() -> list[tuple[str, str]]:
    """Every script in every job."""
    return [
        (name, step["run"]) for name, job in JOBS for step in job.get("steps", []) if "run" in step
    ]


def called() -> dict[str, set[str]]:
    """The targets of make that each job calls."""
    found: dict[str, set[str]] = {}
    for name, script in scripts():
        for words in CALLS.findall(script):
            found.setdefault(name, set()).update(words.split())
    return found


def test_there_is_a_workflow_for_each_purpose() -> None:
    assert set(WORKFLOWS) == {"quality", "tests", "contract", "image", "deploy"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_say_of_which_version(path: Path) -> None:
    uses = re.findall(r"^ *(?:- )?uses: (.*)$", path.read_text(), re.M)
    assert uses
    for each in uses:
        local = each.startswith("./.github/workflows/")
        assert local or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_one_action_is_the_same_commit_everywhere() -> None:
    text = "".join(path.read_text() for path in FILES)
    pins = set(re.findall(r"uses: ([\w./-]+)@(\w+)", text))
    assert len(pins) == len(dict(pins)) > 5


def test_a_workflow_has_no_rights_and_a_job_no_more_than_it_needs() -> None:
    assert all(each["permissions"] == {} for each in WORKFLOWS.values())
    for name, job in JOBS:
        writes = {right for right, value in job["permissions"].items() if value == "write"}
        assert writes == WRITES.get(name, set()), name


def test_workflows_do_not_run_twice_and_jobs_not_for_ever() -> None:
    assert all("group" in each["concurrency"] for each in WORKFLOWS.values())
    for name, job in JOBS:
        assert "uses" in job or 0 < job["timeout-minutes"] <= 120, name


def test_no_script_is_made_of_what_others_wrote() -> None:
    for name, script in scripts():
        assert "${{" not in script, name


def test_credentials_do_not_stay_in_the_checkout() -> None:
    for name, job in JOBS:
        for step in job.get("steps", []):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name


def test_what_is_called_exists_in_make_and_in_tox() -> None:
    tox = ConfigParser()
    tox.read(ROOT / "tox.ini")
    environments = set(re.findall(r"[a-z0-9-]+", " ".join(tox.sections()).replace("testenv", "")))
    wanted = set().union(*called().values())
    assert wanted >= {"lint", "test", "coverage", "audit", "k8s-test", "workflows-test", "fuzz"}
    assert wanted <= TARGETS
    assert wanted <= environments
    for _, script in scripts():
        for path in re.findall(r"(?:^|\s)((?:scripts|\.ci)/\S+)", script):
            assert (ROOT / path).is_file()


def test_tests_run_on_every_python_we_support_with_real_services() -> None:
    job = WORKFLOWS["tests"]["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert set(job["services"]) == {"postgres", "redis"}
    assert called()["tests.test"] == {"test"}
    assert called()["tests.coverage"] == {"coverage"}


def test_only_tags_are_published_and_only_what_is_signed_is_deployed() -> None:
    publish = WORKFLOWS["image"]["jobs"]["publish"]
    assert publish["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert WORKFLOWS["image"]["jobs"]["deploy"]["needs"] == "publish"
    deploy = WORKFLOWS["deploy"]["jobs"]["deploy"]
    assert deploy["environment"] == "${{ inputs.environment }}"
    order = " ".join(script for name, script in scripts() if name == "deploy.deploy")
    assert order.index("cosign verify") < order.index("scripts/k8s-deploy")
    steps = [step.get("uses", step.get("run", "")) for step in publish["steps"]]
    scan = next(i for i, step in enumerate(steps) if step.startswith("anchore/scan-action@"))
    sign = next(i for i, step in enumerate(steps) if "cosign sign" in step)
    assert scan < sign
