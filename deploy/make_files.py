"""Makes what of the deploy set is made of something else: ``make deploy-files``.

The rules in the chart are a copy, the dashboards are made by a script, and the plain manifests are
what helm renders of the chart.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DEPLOY = Path(__file__).parent
CHART = DEPLOY / "helm" / "dsched"
PLAIN = DEPLOY / "kubernetes"
RULES = DEPLOY / "prometheus" / "rules.yaml"


def helm() -> str | None:
    """The program, from HELM or the PATH."""
    return os.environ.get("HELM") or shutil.which("helm")


def rendered(program: str, *, values: Path, name: str = "dsched") -> dict[str, str]:
    """What a chart makes of values, by the names of its templates."""
    with tempfile.TemporaryDirectory() as folder:
        words = (program, "template", name, str(CHART), "--values", str(values))
        subprocess.run([*words, "--output-dir", folder], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        made = sorted((Path(folder) / "dsched" / "templates").glob("*.yaml"))
        return {file.name: file.read_text(encoding="utf-8") for file in made}


def main() -> int:
    """Write them; 1 where helm is not there, after the rest."""
    subprocess.run([sys.executable, DEPLOY / "grafana" / "make_dashboards.py"], check=True)  # noqa: S603
    shutil.copyfile(RULES, CHART / "rules.yaml")
    program = helm()
    if program is None:
        print("helm is not on the PATH (or in HELM): deploy/kubernetes stays as it is")
        return 1
    for name, text in rendered(program, values=DEPLOY / "helm" / "plain.yaml").items():
        (PLAIN / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
