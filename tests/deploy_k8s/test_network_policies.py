"""Who may speak to whom: everything is forbidden but what is listed here."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from bugtracker.settings import Settings
from bugtracker.webhooks.addresses import LOWEST_PORT, NOT_PUBLIC, is_public
from tests.deploy_k8s.manifests import (
    K8S,
    Manifest,
    base,
    documents,
    environments,
    named,
    of_kind,
    selected,
)

ENVIRONMENTS = environments()


@pytest.fixture(params=ENVIRONMENTS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """What one environment consists of."""
    return ENVIRONMENTS[request.param]


def policy(manifests: list[Manifest], name: str) -> dict[str, Any]:
    return dict(named(manifests, "NetworkPolicy", name)["spec"])


def who_may(manifests: list[Manifest], direction: str, name: str) -> set[str]:
    spec = policy(manifests, name)
    assert spec["policyTypes"] == [direction]
    return selected(spec["podSelector"], manifests)


def webhooks_reach(blocks: list[dict[str, Any]], address: str) -> bool:
    """What a policy says of an address, as Kubernetes reads it."""
    ip = ip_address(address)
    return any(
        ip in ip_network(block["cidr"])
        and not any(ip in ip_network(each) for each in block["except"])
        for block in blocks
    )


class TestPolicies:
    def test_forbid_everything_first(self, manifests: list[Manifest]) -> None:
        assert policy(manifests, "default-deny") == {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
        }

    def test_are_for_those_who_need_them(self, manifests: list[Manifest]) -> None:
        assert who_may(manifests, "Egress", "names") == {"api", "worker", "migrate"}
        assert who_may(manifests, "Egress", "database") == {"api", "worker", "migrate"}
        assert who_may(manifests, "Egress", "limits") == {"api", "worker"}
        assert who_may(manifests, "Egress", "mails") == {"worker"}
        assert who_may(manifests, "Egress", "webhooks") == {"worker"}
        assert who_may(manifests, "Ingress", "requests") == {"api"}
        assert who_may(manifests, "Ingress", "metrics") == {"api", "worker"}

    def test_open_the_metrics_to_prometheus_only(self, manifests: list[Manifest]) -> None:
        for each in of_kind(manifests, "NetworkPolicy"):
            for rule in each["spec"].get("ingress", []):
                ports = {port["port"] for port in rule["ports"]}
                assert rule["from"], each["metadata"]["name"]
                if each["metadata"]["name"] != "metrics":
                    assert not ports & {"metrics", 9464}

    def test_none_is_open_to_all_but_that_of_webhooks(self, manifests: list[Manifest]) -> None:
        for each in of_kind(manifests, "NetworkPolicy"):
            for rule in each["spec"].get("egress", []):
                assert rule["to"], each["metadata"]["name"]
                assert rule["ports"], each["metadata"]["name"]
                blocks = [to["ipBlock"] for to in rule["to"] if "ipBlock" in to]
                widest = max((ip_network(each["cidr"]).num_addresses for each in blocks), default=1)
                assert widest <= 2**16 or each["metadata"]["name"] == "webhooks"

    def test_let_development_reach_what_it_brings(self) -> None:
        files = {"postgresql": "postgresql", "redis": "redis", "mail-relay": "mailpit"}
        for name, file in files.items():
            found = documents(K8S / f"overlays/dev/{file}.yaml")
            (rule,) = policy(found, name)["ingress"]
            (port,) = {each["port"] for each in rule["ports"]}
            service = named(found, "Service", name)["spec"]["ports"]
            assert port in {each["targetPort"] for each in service}
            sources = [selected(each["podSelector"], base()) for each in rule["from"]]
            assert "worker" in set.union(*sources), name


class TestWebhooks:
    def test_reach_the_same_addresses_as_the_program_allows(
        self, manifests: list[Manifest]
    ) -> None:
        (rule,) = policy(manifests, "webhooks")["egress"]
        blocks = [each["ipBlock"] for each in rule["to"]]
        excepted = [ip_network(each) for block in blocks for each in block["except"]]
        edges = {str(edge) for each in [*excepted, *NOT_PUBLIC] for edge in neighbourhood(each)}
        edges |= {
            "10.0.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
        }
        edges |= {"::ffff:10.0.0.1", "64:ff9b::a00:1", "8.8.8.8", "2606:4700::1111"}
        assert len(edges) > 50
        for edge in sorted(edges):
            assert webhooks_reach(blocks, edge) == is_public(edge), edge

    def test_use_the_ports_the_program_allows(self, manifests: list[Manifest]) -> None:
        (rule,) = policy(manifests, "webhooks")["egress"]
        assert rule["ports"] == [
            {"protocol": "TCP", "port": 443},
            {"protocol": "TCP", "port": LOWEST_PORT, "endPort": 65535},
        ]


def neighbourhood(network: Any) -> list[Any]:
    """First and last address of a network, and the ones beside it."""
    first, last = network[0], network[-1]
    beside = [first - 1] if int(first) else []
    beside += [last + 1] if last != type(last)(type(last)._ALL_ONES) else []
    return [first, last, *beside]


def test_mails_go_to_the_port_of_the_settings() -> None:
    for name, manifests in ENVIRONMENTS.items():
        settings = named(manifests, "ConfigMap", "bugtracker")["data"]
        default = Settings.model_fields["smtp_port"].default
        port = int(settings.get("BUGTRACKER_SMTP_PORT", default))
        (rule,) = policy(manifests, "mails")["egress"]
        assert port in {each["port"] for each in rule["ports"]}, name
