"""scripts/k8s-deploy: first the migration, then the processes, and nothing after a failure.

kubectl is a script here that writes down what it was asked for; it stands in for a cluster.
"""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = "registry.example.com/team/bugtracker@sha256:" + "a1" * 32
RENDERED = """\
metadata:
  namespace: bugtracker
spec:
  containers:
    - image: old.example.com/bugtracker:0.1.0
    - image: postgres:16
"""
KUBECTL = """\
#!/bin/sh
[ "$1" = kustomize ] && exec cat "$FAKE/rendered.yaml"
echo "$*" | sed "s# --filename .*##" >> "$FAKE/calls"
case "$*" in
    *"get job"*) cat "$FAKE/state" ;;
    *"rollout status"*) exit "$(cat "$FAKE/rollout")" ;;
esac
"""


class Cluster:
    """A kubectl of ours, and what it was asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write("rendered.yaml", RENDERED)
        self.write("state", "SuccessCriteriaMet Complete")
        self.write("rollout", "0")
        self.write("kubectl", KUBECTL)
        (directory / "kubectl").chmod(0o700)

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the script."""
        given = {"FAKE": str(self.directory), "KUBECTL": str(self.directory / "kubectl")}
        command = [str(ROOT / "scripts/k8s-deploy"), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=30, env=os.environ | given
        )

    def calls(self) -> list[str]:
        """What kubectl was asked, but for rendering; without the name of the file."""
        path = self.directory / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


BEFORE = [
    "apply --selector bugtracker/stage=first",
    "--namespace bugtracker delete job migrate --ignore-not-found --wait",
    "apply --selector bugtracker/stage=migrate",
    "--namespace bugtracker get job migrate --output "
    'jsonpath={.status.conditions[?(@.status=="True")].type}',
]


def test_processes_follow_the_migration(cluster: Cluster) -> None:
    done = cluster.deploy("production", IMAGE)
    assert done.returncode == 0, done.stderr
    assert cluster.calls() == [
        *BEFORE,
        "apply --selector bugtracker/stage=last",
        "--namespace bugtracker rollout status deployment/api --timeout 600s",
        "--namespace bugtracker rollout status deployment/worker --timeout 600s",
    ]


def test_after_a_failed_migration_the_processes_stay_as_they_were(cluster: Cluster) -> None:
    cluster.write("state", "FailureTarget Failed")
    done = cluster.deploy("production", IMAGE)
    assert done.returncode == 1
    assert "the processes are left as they were" in done.stderr
    assert cluster.calls() == [*BEFORE, "--namespace bugtracker logs job/migrate --tail=100"]


def test_a_rollout_that_fails_says_how_to_go_back(cluster: Cluster) -> None:
    cluster.write("rollout", "1")
    done = cluster.deploy("dev", IMAGE)
    assert done.returncode == 1
    assert "kubectl --namespace bugtracker rollout undo deployment/api" in done.stderr


def test_only_our_image_becomes_the_digest(cluster: Cluster) -> None:
    done = cluster.deploy("--render", "production", IMAGE)
    images = [line.strip() for line in done.stdout.splitlines() if "image:" in line]
    assert images == [f"- image: {IMAGE}", "- image: postgres:16"]
    assert cluster.calls() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["production"],
        ["nowhere", IMAGE],
        ["production", "bugtracker:latest"],
        ["production", IMAGE + "|x"],
        ["../..", IMAGE + "\n"],
    ],
)
def test_what_is_not_meant_changes_nothing(cluster: Cluster, arguments: list[str]) -> None:
    assert cluster.deploy(*arguments).returncode == 1
    assert cluster.calls() == []
