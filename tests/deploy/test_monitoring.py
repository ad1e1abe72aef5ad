"""What alerts and dashboards ask for is what pods export, and every alert has its runbook."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from deploy_files import COMPOSE, DEPLOY
from pages import ROOT, anchors, headings

sys.path.insert(0, str(DEPLOY / "grafana"))
import make_dashboards

sys.path.remove(str(DEPLOY / "grafana"))

METRIC = re.compile(r"\b(?:dsched|process)_[a-z0-9_]+")
RULES = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text(encoding="utf-8"))
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
DASHBOARDS = {
    path.name: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
}
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is not on the PATH: the rules are read, and not run, here",
)


def exported():
    """The metrics of a pod and their labels, from the page that is made of the code."""
    rows = (ROOT / "docs/metrics.md").read_text(encoding="utf-8").splitlines()
    found = {}
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if re.fullmatch(r"`[a-z_]+`", cells[0]):
            name, kind, labels = cells[0].strip("`"), cells[1], set(METRIC_LABEL.findall(cells[2]))
            parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            for part in parts:
                found[name + part] = labels | ({"le"} if part == "_bucket" else set())
    return found


METRIC_LABEL = re.compile(r"`(\w+)`")
OF_PROMETHEUS = {"instance", "job"}


def asked_of(expression):
    """Metrics and labels of an expression."""
    metrics = set(METRIC.findall(expression))
    groups = re.findall(r"\bby \(([^)]*)\)", expression)
    labels = {one.strip() for group in groups for one in group.split(",")}
    labels |= set(re.findall(r'[{,]\s*(\w+)\s*[!=]~?=?"', expression))
    return metrics, labels


def expressions():
    for name, rule in ALERTS.items():
        yield name, rule["expr"]
    for file, dashboard in DASHBOARDS.items():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield f"{file}: {panel['title']}", target["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_an_expression_asks_for_metrics_and_labels_that_pods_export(where, expression):
    known = exported()
    metrics, labels = asked_of(expression)
    assert metrics
    assert metrics <= set(known), where
    there = set().union(*(known[one] for one in metrics)) | OF_PROMETHEUS
    assert labels <= there, where
    if "histogram_quantile" in expression:
        assert "le" in labels, where
    assert expression.count("(") == expression.count(")")
    counters = [one for one in metrics if one.endswith(("_total", "_bucket", "_count"))]
    for one in counters:  # their value alone says nothing: it began with the pod
        told = re.search(rf"(rate|increase)\({one}|{one}[^)]* unless {one}", expression)
        assert told, f"{where}: {one} without rate or increase"


def test_metrics_that_nobody_exports_are_noticed():
    metrics, labels = asked_of('sum by (le, pod) (rate(dsched_nonsense_total{config="a"}[5m]))')
    assert metrics == {"dsched_nonsense_total"} - set(exported())
    assert labels == {"le", "pod", "config"}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_runbook_a_severity_and_a_test(name):
    rule = ALERTS[name]
    file, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor == name.lower()
    assert anchor in anchors(ROOT / file)
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"]
    tests = (DEPLOY / "prometheus/rules_test.yaml").read_text(encoding="utf-8")
    assert re.search(rf'alertname(=|: )"?{name}\b', tests)


def test_every_runbook_is_of_an_alert():
    told = [one for one in headings(ROOT / "docs/runbooks.md") if one.startswith("Dsched")]
    assert sorted(told) == sorted(ALERTS)


def test_what_has_to_be_told_has_an_alert():
    """Each kind of alert that dsched posts by itself, and what only a look from outside sees."""
    wanted = {
        "failed": "DschedConfigFailing",
        "missed": "DschedInstantMissed",
        "late": "DschedFiresLate",
        "leaderless": "DschedNoLeader",
        "worker_lost": "DschedWorkersDie",
        "backlog": "DschedBacklog",
        "unrunnable": "DschedUnrunnable",
        "store_read_only": "DschedStoreReadOnly",
        "defect": "DschedInvariantBroken",
    }
    assert set(wanted.values()) < set(ALERTS)
    assert {"DschedDown", "DschedStoreSlow", "DschedClockSteppedBack", "DschedEventsDropped"} < set(
        ALERTS
    )


def test_the_dashboards_are_what_their_script_makes():
    for name, text in make_dashboards.dashboards().items():
        file = DEPLOY / "grafana/dashboards" / name
        assert file.read_text(encoding="utf-8") == text, "run `make deploy-files`"
    assert set(DASHBOARDS) == set(make_dashboards.dashboards())


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_can_be_imported_anywhere(name):
    told = DASHBOARDS[name]
    assert not {"id", "uid"} & set(told)
    variables = {one["name"] for one in told["templating"]["list"]}
    assert "source" in variables
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(told)))
    assert used - {"__rate_interval", "__range"} <= variables
    cells = set()
    for panel in told["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        own = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not own & cells, f"{panel['title']} lies on another"
        cells |= own


def test_prometheus_finds_the_rules_and_the_pods():
    told = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text(encoding="utf-8"))
    services = COMPOSE["compose.observability.yaml"]["services"]
    mounts = [one.split(":") for one in services["prometheus"]["volumes"]]
    paths = {target: source for source, target, *_ in mounts}
    for file in told["rule_files"]:
        assert (DEPLOY / paths[file]).is_file()
    (config,) = [one for one in services["prometheus"]["command"] if "config.file" in one]
    assert (DEPLOY / paths[config.partition("=")[2]]).is_file()
    ((scrape,),) = [one["dns_sd_configs"] for one in told["scrape_configs"]]
    for file in ("compose.yaml", "compose.one.yaml", "compose.sentinel.yaml"):
        pods = [
            one for one in COMPOSE[file]["services"].values() if one["image"].startswith("dsched:")
        ]
        assert pods
        for pod in pods:
            assert scrape["names"] == pod["networks"]["inner"]["aliases"]
    assert scrape["port"] == 9464


def test_grafana_finds_the_dashboards_and_prometheus():
    service = COMPOSE["compose.observability.yaml"]["services"]["grafana"]
    paths = {target: source for source, target, *_ in (v.split(":") for v in service["volumes"])}
    folder = DEPLOY / paths["/etc/grafana/provisioning"]
    (provider,) = yaml.safe_load((folder / "dashboards/dsched.yaml").read_text())["providers"]
    assert (DEPLOY / paths[provider["options"]["path"]] / "fleet.json").is_file()
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"


@needs_promtool
@pytest.mark.parametrize("words", [("check", "rules", "rules.yaml"),
                                   ("test", "rules", "rules_test.yaml"),
                                   ("check", "config", "--syntax-only", "prometheus.yaml")],
                         ids=" ".join)  # fmt: skip
def test_prometheus_takes_the_rules_and_they_fire_when_they_should(words):
    done = subprocess.run(
        ["promtool", *words], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("name", DASHBOARDS)
def test_prometheus_can_read_what_a_dashboard_asks(name, tmp_path):
    asked = [target["expr"] for panel in DASHBOARDS[name]["panels"] for target in panel["targets"]]
    known = {"$__rate_interval": "5m", "$__range": "6h", "$config": "one"}
    for variable, value in known.items():
        asked = [one.replace(variable, value) for one in asked]
    rules = [{"record": f"asked:{at}", "expr": one} for at, one in enumerate(asked)]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
