"""The manifests agree with each other, with the contract and with the settings."""

import pytest
import yaml

from bugtracker.cli import COMMANDS
from bugtracker.cli.names import environment_variable
from bugtracker.contract import Contract
from bugtracker.settings import Settings
from tests.deploy_k8s.manifests import (
    K8S,
    Manifest,
    container,
    documents,
    environment_file,
    environments,
    named,
    of_kind,
    ours,
    pods,
    selected,
)

ENVIRONMENTS = environments()
FIELDS = {environment_variable(field): field for field in Settings.model_fields}
# Of the listener for Prometheus.
SECRET = {"DATABASE_URL", "REDIS_URL", "BUGTRACKER_OWNER_DATABASE_URL", "BUGTRACKER_SECRET_KEY"}
SECRET |= {"BUGTRACKER_ENCRYPTION_KEYS", "BUGTRACKER_SMTP_USERNAME", "BUGTRACKER_SMTP_PASSWORD"}


@pytest.fixture(params=ENVIRONMENTS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """What one environment consists of."""
    return ENVIRONMENTS[request.param]


class TestPods:
    def test_are_the_three_processes_by_commands_there_are(self, manifests: list[Manifest]) -> None:
        processes = {name: container(pod)["args"] for name, pod in ours(manifests).items()}
        assert processes == {"api": ["serve"], "worker": ["worker"], "migrate": ["migrate"]}
        assert all(command in COMMANDS for (command,) in processes.values())

    def test_are_restricted(self, manifests: list[Manifest]) -> None:
        for name, pod in pods(manifests):
            spec, inside = pod["spec"], container(pod)["securityContext"]
            assert spec["automountServiceAccountToken"] is False, name
            assert spec["securityContext"]["runAsNonRoot"] is True, name
            assert spec["securityContext"]["runAsUser"] >= 10_000, name
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
            assert inside["allowPrivilegeEscalation"] is False, name
            assert inside["readOnlyRootFilesystem"] is True, name
            assert inside["capabilities"] == {"drop": ["ALL"]}, name
            assert container(pod)["resources"].keys() == {"requests", "limits"}, name

    def test_may_write_where_the_program_does(self, manifests: list[Manifest]) -> None:
        settings = named(manifests, "ConfigMap", "bugtracker")["data"]
        for name, pod in ours(manifests).items():
            volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
            mounts = {each["mountPath"]: each["name"] for each in container(pod)["volumeMounts"]}
            assert "emptyDir" in volumes[mounts["/tmp"]], name
        assert settings["BUGTRACKER_LOCAL_DIR"].startswith("/tmp/")

    def test_have_ports_that_their_settings_open(self, manifests: list[Manifest]) -> None:
        settings = named(manifests, "ConfigMap", "bugtracker")["data"]
        http, metrics = settings["BUGTRACKER_PORT"], settings["BUGTRACKER_METRICS_PORT"]
        wanted = {"api": {"http": http, "metrics": metrics}, "worker": {"metrics": metrics}}
        for name, ports in wanted.items():
            listed = container(ours(manifests)[name])["ports"]
            assert {each["name"]: str(each["containerPort"]) for each in listed} == ports
        assert settings["BUGTRACKER_HOST"] == settings["BUGTRACKER_METRICS_HOST"] == "0.0.0.0"

    def test_are_probed_where_the_contract_answers(
        self, manifests: list[Manifest], contract: Contract
    ) -> None:
        api = container(ours(manifests)["api"])
        paths = {
            probe: api[f"{probe}Probe"]["httpGet"]["path"]
            for probe in ("startup", "liveness", "readiness")
        }
        assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
        for path in paths.values():
            assert contract.document["paths"][path]["get"]["x-public"] is True
        worker = container(ours(manifests)["worker"])
        for probe in ("startup", "liveness", "readiness"):
            where = {"path": "/healthz", "port": "metrics"}
            assert worker[f"{probe}Probe"]["httpGet"] == where

    def test_are_probed_at_ports_they_have(self, manifests: list[Manifest]) -> None:
        for name, pod in pods(manifests):
            inside = container(pod)
            ports = {each["name"] for each in inside.get("ports", ())}
            for probe in (each for each in inside if each.endswith("Probe")):
                how = inside[probe].get("httpGet") or inside[probe]["tcpSocket"]
                assert how["port"] in ports, (name, probe)

    def test_have_time_to_end_what_they_do(self, manifests: list[Manifest]) -> None:
        grace = int(
            named(manifests, "ConfigMap", "bugtracker")["data"]["BUGTRACKER_SHUTDOWN_GRACE"]
        )
        api, worker = (ours(manifests)[name]["spec"] for name in ("api", "worker"))
        waits = api["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert api["terminationGracePeriodSeconds"] > waits + grace
        # Jobs first, then deliveries of webhooks.
        assert worker["terminationGracePeriodSeconds"] > 2 * grace


class TestSelectors:
    def test_of_deployments_choose_their_own_pods(self, manifests: list[Manifest]) -> None:
        for each in of_kind(manifests, "Deployment"):
            assert selected(each["spec"]["selector"], manifests) == {each["metadata"]["name"]}

    def test_of_services_choose_pods_that_have_the_port(self, manifests: list[Manifest]) -> None:
        by_name = dict(pods(manifests))
        for each in of_kind(manifests, "Service"):
            selector = {"matchLabels": each["spec"]["selector"]}
            (chosen,) = selected(selector, manifests)
            ports = {port["name"] for port in container(by_name[chosen])["ports"]}
            assert {port["targetPort"] for port in each["spec"]["ports"]} <= ports

    def test_of_budgets_and_autoscalers_mean_both_processes(
        self, manifests: list[Manifest]
    ) -> None:
        for each in of_kind(manifests, "PodDisruptionBudget"):
            assert selected(each["spec"]["selector"], manifests) == {each["metadata"]["name"]}
        scaled = of_kind(manifests, "HorizontalPodAutoscaler")
        assert {each["spec"]["scaleTargetRef"]["name"] for each in scaled} == {"api", "worker"}
        for each in of_kind(manifests, "Deployment"):
            if each["metadata"]["name"] in ("api", "worker"):
                assert "replicas" not in each["spec"], "the autoscaler's to say"

    def test_of_the_ingress_mean_the_api_and_never_the_metrics(
        self, manifests: list[Manifest]
    ) -> None:
        (ingress,) = of_kind(manifests, "Ingress")
        (rule,) = ingress["spec"]["rules"]
        (path,) = rule["http"]["paths"]
        assert path["backend"]["service"] == {"name": "api", "port": {"name": "http"}}
        assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
        service = named(manifests, "Service", "api")
        assert [port["name"] for port in service["spec"]["ports"]] == ["http"]

    def test_of_prometheus_mean_the_services_of_the_metrics(
        self, manifests: list[Manifest]
    ) -> None:
        (monitor,) = documents(K8S / "components/service-monitor/service-monitor.yaml")
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        services = of_kind(manifests, "Service")
        found = [each for each in services if wanted <= each["metadata"]["labels"].items()]
        assert {each["metadata"]["name"] for each in found} == {"api-metrics", "worker-metrics"}
        for each in found:
            assert [port["name"] for port in each["spec"]["ports"]] == [
                monitor["spec"]["endpoints"][0]["port"]
            ]

    def test_of_the_rollout_find_everything_once(self, manifests: list[Manifest]) -> None:
        stages = {"first", "migrate", "last"}
        for each in manifests:
            assert each["metadata"]["labels"]["bugtracker/stage"] in stages, each["metadata"]
        by_stage = {
            each["metadata"]["labels"]["bugtracker/stage"]
            for each in of_kind(manifests, "Deployment")
            if each["metadata"]["name"] in ("api", "worker")
        }
        assert by_stage == {"last"}


class TestSettings:
    def test_of_config_maps_are_settings_and_no_secrets(self) -> None:
        files = sorted(K8S.glob("*/bugtracker.env")) + sorted(K8S.glob("*/*/bugtracker.env"))
        assert len(files) == 3
        for path in files:
            names = environment_file(path).keys()
            assert names <= FIELDS.keys(), path
            assert not names & SECRET, path

    def test_of_secrets_are_settings_and_all_the_secrets_there_are(self) -> None:
        for secrets in (development_secrets(), external_secrets()):
            names = [name for each in secrets.values() for name in each]
            assert sorted(names) == sorted(SECRET)
            assert set(names) <= FIELDS.keys()

    def test_of_development_are_accepted_by_the_program(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for overlay in ("dev", "production"):
            values = environment_file(K8S / "base/bugtracker.env")
            values |= environment_file(K8S / "overlays" / overlay / "bugtracker.env")
            values |= {
                key: value for each in development_secrets().values() for key, value in each.items()
            }
            for name in FIELDS:
                monkeypatch.delenv(name, raising=False)
            for name, value in values.items():
                monkeypatch.setenv(name, value)
            settings = Settings()
            assert not settings.embedded
            assert settings.smtp_host
            assert settings.base_url.startswith("https://")
            assert settings.webhook_allow_local is False

    def test_reach_only_the_processes_that_need_them(self, manifests: list[Manifest]) -> None:
        wanted = {
            "api": {"bugtracker"},
            "worker": {"bugtracker", "bugtracker-smtp"},
            "migrate": {"bugtracker", "bugtracker-owner"},
        }
        settings = named(manifests, "ConfigMap", "bugtracker")["metadata"]["name"]
        for name, pod in ours(manifests).items():
            sources = container(pod)["envFrom"]
            assert sources[0] == {"configMapRef": {"name": settings}}
            assert {each["secretRef"]["name"] for each in sources[1:]} == wanted[name]

    def test_of_the_image_come_from_one_place(self, manifests: list[Manifest]) -> None:
        assert len({container(pod)["image"] for pod in ours(manifests).values()}) == 1


def development_secrets() -> dict[str, dict[str, str]]:
    path = K8S / "overlays/dev/secrets.yaml"
    return {each["metadata"]["name"]: each["stringData"] for each in documents(path)}


def external_secrets() -> dict[str, list[str]]:
    path = K8S / "components/external-secrets/external-secrets.yaml"
    found = {each["spec"]["target"]["name"]: each["spec"]["data"] for each in documents(path)}
    assert found.keys() == development_secrets().keys()
    return {name: [each["secretKey"] for each in data] for name, data in found.items()}


def test_production_uses_both_components() -> None:
    about = yaml.safe_load((K8S / "overlays/production/kustomization.yaml").read_text())
    assert [each.rpartition("/")[2] for each in about["components"]] == [
        "external-secrets",
        "service-monitor",
    ]
