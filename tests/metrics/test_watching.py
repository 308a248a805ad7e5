"""Alerts, dashboard and pages speak of numbers that exist, and of each other."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bugtracker.metrics import REGISTRY
from bugtracker.metrics.database import DatabaseCollector, PoolCollector
from bugtracker.runtime import Runtime
from bugtracker.settings import PROJECT_ROOT

WATCHING = PROJECT_ROOT / "deploy" / "observability"
OPERATIONS = PROJECT_ROOT / "docs" / "operations"
NAME = re.compile(r"\b((?:bugtracker|process)_[a-z_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
ROLES = re.compile(r"bugtracker_(?:api|app|backup|owner|system)\b")
OF_PROMETHEUS = {"job", "instance"}


@pytest.fixture(scope="module")
def known(runtime: Runtime) -> dict[str, set[str]]:
    """Every series this program has, with its labels."""
    registry = CollectorRegistry()
    database = DatabaseCollector(runtime.db.engine)
    for collector in (REGISTRY, PoolCollector(runtime.db.engine), database):
        registry.register(collector)
    text = generate_latest(registry).decode()
    database.close()
    found: dict[str, set[str]] = {"bugtracker_worker_heartbeat_age_seconds": set()}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    for instrument in REGISTRY._collector_to_names:
        labels = set(getattr(instrument, "_labelnames", ()))
        for name in REGISTRY._collector_to_names[instrument]:
            found.setdefault(name, set()).update(labels)
            if name.endswith("_bucket"):
                found[name].add("le")
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((WATCHING / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    board = json.loads((WATCHING / "dashboards" / "bugtracker.json").read_text())
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + asked


def page_of(alert: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower() + ".md"


class TestNames:
    def test_every_number_in_an_expression_exists_with_its_labels(
        self, known: dict[str, set[str]]
    ) -> None:
        asked = [found for each in expressions() for found in NAME.findall(each)]
        assert len(asked) > 50
        for name, selector in asked:
            assert name in known, name
            assert set(LABEL.findall(selector)) <= known[name] | OF_PROMETHEUS, (name, selector)

    def test_every_number_of_ours_is_shown_and_explained(self, known: dict[str, set[str]]) -> None:
        shown = {name for each in expressions() for name, _ in NAME.findall(each)}
        page = (OPERATIONS / "metrics.md").read_text()
        ends = re.compile(r"_(bucket|sum|count|created)$")
        names = {ends.sub("", name) for name in known if name.startswith("bugtracker_")}
        ours = {name for name in names if names.isdisjoint({f"{name}_total", f"{name}_info"})}
        for name in ours:
            assert f"`{name}`" in page, name
            assert any(name == ends.sub("", each) for each in shown), name
        explained = set(re.findall(r"`(bugtracker_[a-z_]+)`", page))
        assert explained == ours


class TestRunbooks:
    def test_every_alert_has_a_page_which_says_what_to_do(self) -> None:
        index = (OPERATIONS / "README.md").read_text()
        for rule in rules():
            page = page_of(rule["alert"])
            assert rule["annotations"]["runbook"] == f"docs/operations/{page}"
            assert f"]({page})" in index
            text = (OPERATIONS / page).read_text()
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert text.startswith(
                f"# {rule['alert']}\n\n**{rule['labels']['severity'].title()}.**"
            )
            for heading in ("## Look here", "## Do this"):
                assert heading in text
            assert rule["expr"].strip() in text

    def test_what_the_pages_ask_and_link_to_exists(self, known: dict[str, set[str]]) -> None:
        for path in OPERATIONS.glob("*.md"):
            text = path.read_text()
            for name, _ in NAME.findall(ROLES.sub("", text)):
                assert name in known or f"{name}_bucket" in known, (path.name, name)
            for link in re.findall(r"\]\(([^)#]+\.md)", text):
                assert (path.parent / link).resolve().is_file(), (path.name, link)

    def test_every_panel_names_its_source_and_unit(self) -> None:
        source = yaml.safe_load(
            Path(WATCHING / "grafana/provisioning/datasources/prometheus.yml").read_text()
        )["datasources"][0]["uid"]
        for panel in panels():
            assert panel["datasource"]["uid"] == source, panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
