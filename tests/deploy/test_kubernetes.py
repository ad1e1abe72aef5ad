"""The manifests are what Kubernetes takes, the pods in them what dsched takes, and the chart makes
them."""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from deploy_files import (
    DEPLOY,
    MANIFESTS,
    catalogue,
    every_manifest,
    kinds,
    mounted,
    problems_of,
    roles_of,
    schema_of,
    settings_of,
    workloads,
)
from docs_processes import started

import dsched
from dsched.config import TaskSettings, parse_duration
from dsched.config.task_file import read_tasks
from dsched_testkit.servers import free_port, wait_until

sys.path.insert(0, str(DEPLOY))
import make_files

sys.path.remove(str(DEPLOY))

CHART = DEPLOY / "helm/dsched"
HELM = make_files.helm()
needs_helm = pytest.mark.skipif(
    HELM is None, reason="helm is not on the PATH (or in HELM): the chart is not rendered here"
)
WORKLOADS = workloads(every_manifest())
NAMES = [one.name for one in WORKLOADS]
each = pytest.mark.parametrize("workload", WORKLOADS, ids=NAMES)


def is_valid(documents):
    for one in documents:
        schema = schema_of(one["kind"])
        if schema is not None:
            assert problems_of(one, schema) == [], one["metadata"]["name"]
        assert set(one) <= {"apiVersion", "kind", "metadata", "spec", "data"}
        assert one["metadata"]["name"].startswith("dsched")


def test_each_manifest_is_what_kubernetes_takes():
    is_valid(every_manifest())
    assert set(MANIFESTS["kustomization.yaml"][0]["resources"]) == set(MANIFESTS) - {
        "kustomization.yaml",
        "monitoring.yaml",  # needs an operator
    }
    (image,) = MANIFESTS["kustomization.yaml"][0]["images"]
    assert image == {"name": "dsched", "newName": "dsched", "newTag": dsched.__version__}


def test_what_kubernetes_does_not_take_is_noticed():
    told = json.loads(json.dumps(WORKLOADS[0].document))
    told["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    told["spec"]["replicas"] = "two"
    found = problems_of(told, schema_of("Deployment"))
    assert any("readinesProbe" in one for one in found)
    assert any("spec.replicas" in one for one in found)


@each
def test_a_pod_runs_as_nobody_and_may_write_nowhere(workload):
    pod, container = workload.pod["securityContext"], workload.container["securityContext"]
    assert (pod["runAsNonRoot"], pod["runAsUser"]) == (True, 10001)
    assert f"USER {pod['runAsUser']}" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert workload.pod["automountServiceAccountToken"] is False
    mounts = workload.container["volumeMounts"]
    assert [one["mountPath"] for one in mounts if not one.get("readOnly")] == ["/tmp"]
    assert workload.container["resources"]["limits"]["memory"]
    assert workload.container["image"] == f"dsched:{dsched.__version__}"


@each
def test_a_pods_settings_arguments_and_tasks_are_taken(workload, tmp_path):
    documents = every_manifest()
    told = workload.environment()
    loaded = settings_of(documents, tmp_path, told)
    assert loaded.warnings == ()
    assert loaded.settings.store == "redis"
    assert loaded.settings.pod.name == told["POD_NAME"]
    args = workload.container["args"]
    assert "metrics" in roles_of(args)
    assert args[args.index("--config") + 1] == "/etc/dsched/config/dsched.yaml"
    for at in (at for at, word in enumerate(args) if word == "--tasks"):
        file = tmp_path / Path(args[at + 1]).name
        assert read_tasks(str(file), defaults=TaskSettings(), catalogue=catalogue())
    grace_s = workload.pod["terminationGracePeriodSeconds"]
    drain = loaded.settings.worker.drain_timeout
    assert parse_duration(f"{grace_s}s") > drain + parse_duration("10s")


def test_pods_are_told_apart_by_their_labels():
    assert len({tuple(one.labels.items()) for one in WORKLOADS}) == len(WORKLOADS) == 3


def test_each_role_has_pods_and_one_of_them_puts_the_tasks():
    roles = {one.name: roles_of(one.container["args"]) - {"metrics"} for one in WORKLOADS}
    assert roles == {
        "dsched-api": {"api"},
        "dsched-scheduler": {"scheduler"},
        "dsched-worker": {"worker"},
    }
    assert [one.name for one in WORKLOADS if "--tasks" in one.container["args"]] == [
        "dsched-scheduler"
    ]


@each
def test_ports_probes_and_selectors_meet(workload):
    documents = every_manifest()
    ports = {one["name"]: one["containerPort"] for one in workload.container["ports"]}
    assert ports["metrics"] == 9464
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    paths = [workload.container[name]["httpGet"] for name in probes]
    assert [one["path"] for one in paths] == ["/livez", "/livez", "/readyz"]
    assert {one["port"] for one in paths} <= set(ports)
    budgets = [
        one
        for one in kinds(documents, "PodDisruptionBudget")
        if one["spec"]["selector"]["matchLabels"].items() <= workload.labels.items()
    ]
    assert len(budgets) == 1
    for service in kinds(documents, "Service"):
        if service["spec"]["selector"].items() <= workload.labels.items():
            assert {one["targetPort"] for one in service["spec"]["ports"]} <= set(ports)
    (policy,) = kinds(documents, "NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= workload.labels.items()
    opened = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    assert opened == {8700, 9464}
    assert set(ports.values()) <= opened


def test_what_scrapes_and_what_alerts_is_what_prometheus_uses_elsewhere():
    monitor, rule = MANIFESTS["monitoring.yaml"]
    assert (monitor["kind"], rule["kind"]) == ("PodMonitor", "PrometheusRule")
    assert [one["port"] for one in monitor["spec"]["podMetricsEndpoints"]] == ["metrics"]
    for workload in WORKLOADS:
        assert monitor["spec"]["selector"]["matchLabels"].items() <= workload.labels.items()
    rules = DEPLOY / "prometheus/rules.yaml"
    assert rule["spec"] == yaml.safe_load(rules.read_text(encoding="utf-8"))
    assert (CHART / "rules.yaml").read_bytes() == rules.read_bytes(), "run `make deploy-files`"


def values():
    return yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def values_schema():
    return json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def test_the_chart_is_of_this_version_and_its_values_are_what_they_may_be(tmp_path):
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == dsched.__version__
    assert problems_of(values(), values_schema()) == []
    assert set(values()) | {"global"} == set(values_schema()["properties"])
    plain = yaml.safe_load((DEPLOY / "helm/plain.yaml").read_text(encoding="utf-8"))
    assert problems_of(values() | {"taskFiles": plain["taskFiles"]}, values_schema()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 2},
        {"api": {"replicas": "two"}},
        {"workers": {"Big": values()["workers"]["worker"]}},
        {"workers": {"scheduler": values()["workers"]["worker"]}},
        {"workers": {"big": {"replicas": 1}}},
        {"taskFiles": {"tasks.yaml": {}}},
        {"secretName": ""},
    ],
    ids=str,
)
def test_values_that_cannot_be_meant_are_refused_by_the_chart(change):
    assert problems_of(values() | change, values_schema()) != []


@needs_helm
def test_the_plain_manifests_are_what_helm_makes_of_the_chart():
    made = make_files.rendered(HELM, values=DEPLOY / "helm/plain.yaml")
    found = {name: [one for one in yaml.safe_load_all(text) if one] for name, text in made.items()}
    assert found == {name: one for name, one in MANIFESTS.items() if name in found}, (
        "run `make deploy-files`"
    )
    assert set(found) == set(MANIFESTS) - {"kustomization.yaml"}


@needs_helm
@pytest.mark.parametrize("kind", ["hpa", "keda"])
def test_pools_with_labels_of_their_own_that_scale_are_rendered(kind, tmp_path):
    pool = values()["workers"]["worker"] | {
        "autoscaling": {"kind": kind, "min": 2, "max": 9},
        "labels": {"disk": "ssd"},
        "drainSeconds": 120,
    }
    told = {"workers": {"big": pool}, "apps": ["shop"], "imagePullSecrets": [{"name": "hub"}]}
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(told), encoding="utf-8")
    made = make_files.rendered(HELM, values=file, name="dsched-b")
    documents = [one for text in made.values() for one in yaml.safe_load_all(text) if one]
    is_valid(documents)
    (big,) = [one for one in workloads(documents) if one.name == "dsched-b-big"]
    loaded = settings_of(documents, tmp_path, big.environment())
    assert loaded.settings.worker.labels == {"disk": "ssd"}
    assert big.pod["terminationGracePeriodSeconds"] == 140
    assert "replicas" not in big.document["spec"]  # another decides
    assert big.container["args"][-2:] == ["--app", "shop"]
    scaler = {"hpa": "HorizontalPodAutoscaler", "keda": "ScaledObject"}[kind]
    (found,) = kinds(documents, scaler)
    assert found["spec"]["scaleTargetRef"]["name"] == big.name
    assert "dsched-b-worker" in [one.name for one in workloads(documents)]  # maps are merged


@pytest.mark.slow
def test_a_pod_with_these_settings_answers_where_it_is_asked(tmp_path):
    """On a store of its own, and on ports of this host in place of the pod's."""
    config = mounted(every_manifest(), tmp_path)
    told = yaml.safe_load(config.read_text(encoding="utf-8"))
    told |= {"store": "sqlite"}
    del told["redis"]
    ports = {"api": free_port(), "metrics": free_port()}
    for name, port in ports.items():
        told[name] |= {"port": port, "bind": "127.0.0.1"}
    config.write_text(json.dumps(told), encoding="utf-8")
    program = str(Path(sys.executable).with_name("dsched-run"))
    kept = {name: value for name, value in os.environ.items() if "DSCHED" not in name}
    with started([program, "--config", str(config)], tmp_path / "log", cwd=tmp_path,
                 inherit=False, **kept) as pod:  # fmt: skip
        wait_until(lambda: _status(ports["metrics"], "/readyz") == 200, "ready", timeout_s=30)
        for workload in WORKLOADS:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                asked = workload.container[probe]["httpGet"]
                assert _status(ports[asked["port"]], asked["path"]) == 200
        (monitor, _) = MANIFESTS["monitoring.yaml"]
        (scraped,) = monitor["spec"]["podMetricsEndpoints"]
        assert _status(ports[scraped["port"]], scraped["path"]) == 200
        assert _status(ports["api"], "/livez") == 200  # what the example task asks
        assert pod.process.poll() is None


def _status(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


@pytest.mark.skipif(
    shutil.which("kubeconform") is None,
    reason="kubeconform is not on the PATH: its schemas are not asked",
)
def test_kubeconform_takes_the_manifests():
    files = [
        str(DEPLOY / "kubernetes" / name) for name in MANIFESTS if name != "kustomization.yaml"
    ]
    done = subprocess.run(
        ["kubeconform", "-strict", "-ignore-missing-schemas", *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
