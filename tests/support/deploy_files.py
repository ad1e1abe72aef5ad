"""The files of the deploy set, as tests read them: compose, manifests, rules, dashboards."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import jsonschema_rs
import yaml
from pages import ROOT

from dsched.config import LoadedSettings, read_settings
from dsched.launcher.arguments import parse
from dsched.loading import Catalogue, load_catalogue

DEPLOY = ROOT / "deploy"
COMPOSE = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted(DEPLOY.glob("compose*.yaml"))
}
MANIFESTS = {
    path.name: [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
}
SECRETS = {"redis-password": "chosen-by-the-test", "admin-token": "dsk_admin_" + "x" * 40}
ROLES = {"scheduler", "worker", "api", "metrics", "console", "alerts"}
_SCHEMAS = Path(__file__).parents[1] / "deploy"
_VARIABLE = re.compile(r"\$\{(\w+):\?[^}]+\}")


@cache
def catalogue() -> Catalogue:
    """Everything that is installed."""
    return load_catalogue()


def problems_of(document: Any, schema: dict[str, Any]) -> list[str]:
    """Where a document is not as its schema says."""
    found = jsonschema_rs.validator_for(schema).iter_errors(document)
    return [f"{'.'.join(map(str, one.instance_path))}: {one.message}" for one in found]


def compose_schema() -> dict[str, Any]:
    """That of compose files."""
    found: dict[str, Any] = json.loads((_SCHEMAS / "compose.json").read_text(encoding="utf-8"))
    return found


def schema_of(kind: str) -> dict[str, Any] | None:
    """That of a kind of Kubernetes' own; None of what an operator brings."""
    told = json.loads((_SCHEMAS / "kubernetes.json").read_text(encoding="utf-8"))
    if kind not in told["kinds"]:
        return None
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": f"#/$defs/{told['kinds'][kind]}",
        "$defs": told["$defs"],
    }


def filled(value: object) -> str:
    """What compose makes of a text: its variables filled in, its dollars single."""
    text = _VARIABLE.sub(SECRETS["redis-password"], str(value))
    return text.replace("$$", "$")


def environment(service: dict[str, Any]) -> dict[str, str]:
    """What compose would set."""
    found = {name: filled(value) for name, value in service.get("environment", {}).items()}
    assert not [one for one in found.values() if "${" in one]
    return found


def roles_of(args: list[str]) -> set[str]:
    """The roles that the arguments of `dsched-run` name; it exits where it knows one of them
    not."""
    parse(args)
    told = args[args.index("--role") + 1] if "--role" in args else ""
    roles = set(filter(None, told.split(",")))
    assert roles <= ROLES, roles
    return roles


@attrs.frozen
class Workload:
    """A deployment of the manifests and the one container in it."""

    document: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.document["metadata"]["name"])

    @property
    def pod(self) -> dict[str, Any]:
        """The specification of its pods."""
        found: dict[str, Any] = self.document["spec"]["template"]["spec"]
        return found

    @property
    def container(self) -> dict[str, Any]:
        """The container."""
        (found,) = self.pod["containers"]
        return dict(found)

    @property
    def labels(self) -> dict[str, str]:
        """What services and budgets choose its pods by."""
        return dict(self.document["spec"]["template"]["metadata"]["labels"])

    def environment(self) -> dict[str, str]:
        """What it is told by name; its pod's name is filled in."""
        given = self.container["env"]
        return {one["name"]: one.get("value", f"{self.name}-1") for one in given}


def kinds(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Those of one kind."""
    return [one for one in documents if one["kind"] == kind]


def workloads(documents: list[dict[str, Any]]) -> list[Workload]:
    """The deployments."""
    return [Workload(one) for one in kinds(documents, "Deployment")]


def every_manifest() -> list[dict[str, Any]]:
    """All documents but those for tools on the client's side."""
    found = [
        one for name, all_ in MANIFESTS.items() if name != "kustomization.yaml" for one in all_
    ]
    assert len(found) > 8
    return found


def mounted(documents: list[dict[str, Any]], folder: Path) -> Path:
    """The config map and the secret as files, as a pod finds them; the configuration's path."""
    (config,) = kinds(documents, "ConfigMap")
    for name, text in {**config["data"], **SECRETS}.items():
        file = folder / name
        # A folder of the test stands for the mount points.
        file.write_text(re.sub(r"/etc/dsched/\w+", str(folder), text), encoding="utf-8")
        file.chmod(0o600)
    return folder / "dsched.yaml"


def settings_of(
    documents: list[dict[str, Any]], folder: Path, told: dict[str, str]
) -> LoadedSettings:
    """What a pod of these manifests is configured to; raises what is wrong."""
    return read_settings(str(mounted(documents, folder)), told, {}, catalogue())
