"""What is in k8s/, as Python sees it: the sources, and what they were rendered to, if they were.

``make k8s-test`` renders the overlays with kubectl and names their directory in TEST_RENDERED;
plain ``make test`` needs no kubectl and reads the base as it stands.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

K8S = Path(__file__).parents[2] / "k8s"
Manifest = dict[str, Any]


def documents(path: Path) -> list[Manifest]:
    """The resources of one file."""
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def environment_file(path: Path) -> dict[str, str]:
    """Names and values, as kustomize reads them."""
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def base() -> list[Manifest]:
    """The base without kustomize: its files, and the ConfigMap that it would make."""
    about = yaml.safe_load((K8S / "base/kustomization.yaml").read_text())
    found = [each for name in about["resources"] for each in documents(K8S / "base" / name)]
    labels = about["labels"][0]["pairs"]
    for each in found:
        each["metadata"]["labels"] = labels | each["metadata"].get("labels", {})
    settings = environment_file(K8S / "base/bugtracker.env")
    metadata = {"name": "bugtracker", "labels": about["generatorOptions"]["labels"]}
    return [*found, {"kind": "ConfigMap", "metadata": metadata, "data": settings}]


def environments() -> dict[str, list[Manifest]]:
    """The base, and each overlay that was rendered."""
    found = {"base": base()}
    if directory := os.environ.get("TEST_RENDERED"):
        found |= {path.stem: documents(path) for path in sorted(Path(directory).glob("*.yaml"))}
        assert {"dev", "production"} <= found.keys()
    return found


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    """Those of these kinds; there must be some."""
    found = [each for each in manifests if each["kind"] in kinds]
    assert found, f"no {kinds}"
    return found


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one of this kind and name, whatever hash kustomize gave it."""
    suffix = re.compile(re.escape(name) + "(-[a-z0-9]{10})?")
    (found,) = (
        each for each in of_kind(manifests, kind) if suffix.fullmatch(each["metadata"]["name"])
    )
    return found


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Name and template of whatever makes pods."""
    for each in of_kind(manifests, "Deployment", "Job"):
        yield each["metadata"]["name"], each["spec"]["template"]


def ours(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The templates of our own processes: api, worker, migrate."""
    label = "app.kubernetes.io/name"
    return {name: pod for name, pod in pods(manifests) if _labels(pod)[label] == "bugtracker"}


def container(pod: Manifest) -> Manifest:
    """The only container of a template."""
    (only,) = pod["spec"]["containers"]
    return dict(only)


def selected(selector: Manifest, manifests: list[Manifest]) -> set[str]:
    """Names of what makes the pods that a selector chooses in its namespace."""
    return {name for name, pod in pods(manifests) if _matches(selector, _labels(pod))}


def _labels(pod: Manifest) -> dict[str, str]:
    return dict(pod["metadata"]["labels"])


def _matches(selector: Manifest, labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items()
    listed = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in listed)
    return wanted <= labels.items() and all(labels.get(e["key"]) in e["values"] for e in listed)
