"""The console's part of docs/performance.md, made of what `make console-figures` has recorded."""

import json
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).resolve().parents[2] / "docs/results/console.json"
HEADING = "## The console"


def section() -> list[str]:
    """The lines of the page; none if nothing was recorded."""
    if not RECORDED.exists():
        return []
    found: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    clicked, seen = found["interaction"], found["viewers"]
    return [
        HEADING,
        "",
        (
            f"`make console-figures`, {found['date']}: a pod on the embedded store with 58 "
            "configs, of which eight fire every 3 to 40 seconds, and 10,000 waiting tasks; "
            "Chromium on the same machine."
        ),
        "",
        "| page, with an empty cache | kB sent, gzipped | ms to what it asked for |",
        "|---|---|---|",
        *(
            f"| {name} | {one['kB']:.0f} | {one['ms']:.0f} |"
            for name, one in found["pages"].items()
        ),
        "",
        (
            f"A click on 10,000 waiting tasks ({clicked['rows']} rows of them in the page): "
            f"{clicked['median_ms']:.0f} ms, at most {clicked['worst_ms']:.0f}."
        ),
        "",
        (
            f"Without a viewer the pod makes {seen['0']['calls']:.1f} calls of the store a "
            f"second and takes {100 * seen['0']['cpu']:.1f} % of a processor; its jobs are "
            "most of that."
        ),
        "",
        "| viewers of Now | more % of a processor | more store calls a second |",
        "|---|---|---|",
        *(
            f"| {number} | {100 * seen[number]['cpu']:.1f} | {seen[number]['calls']:.2f} |"
            for number in seen
            if number != "0"
        ),
        "",
        (
            "The jobs of such a pod make a call more or less a second by themselves. Exact is "
            "`plugins/console/tests/test_cost_of_a_viewer.py`, which counts the API's own "
            "calls: one viewer costs at most one a second."
        ),
    ]


def refresh(page: Path) -> None:
    """Put the section in place of the one that the page has, at its end."""
    head, _, _ = page.read_text(encoding="utf-8").partition(f"\n{HEADING}\n")
    page.write_text(head.rstrip("\n") + "\n\n" + "\n".join([*section(), ""]), encoding="utf-8")
