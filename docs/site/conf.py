"""The documentation site: the pages of the repository as they are, with search. ``make docs``.

The source is the whole repository, so that pages link to READMEs and to code as they do on a code
host. What is no page is linked as a download.
"""

import re
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
_VERSION = re.search(
    r'^__version__ = "([^"]+)"', (ROOT / "core/src/dsched/__init__.py").read_text(), re.MULTILINE
)

project = "dsched"
author = "the authors of dsched"
release = version = _VERSION[1] if _VERSION else ""
root_doc = "docs/index"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/zh/*.md",
    "docs/decisions/*.md",
    "docs/questions/*.md",
    "docs/examples/plugin-executor/README.md",
    "core/README.md",
    "cli/README.md",
    "clients/*/README.md",
    "executors-*/README.md",
    "plugins/*/README.md",
]
myst_heading_anchors = 4
myst_enable_extensions = ["strikethrough"]
# The side lists what the first page's table names; the other pages are reached by links.
suppress_warnings = ["toc.not_included"]
html_theme = "furo"
html_extra_path = ["extra"]
html_title = f"dsched {release}"
html_copy_source = False
html_show_sourcelink = False
nitpicky = True

_ROW = re.compile(r"^\| \*\*(\w[\w ]*)\*\*: .*$", re.MULTILINE)
_LINK = re.compile(r"\]\(([\w./-]+)\.md[)#]")


def contents(index: str) -> str:
    """The list at the side, of the table of the first page: a part for each of its kinds."""
    parts: dict[str, list[str]] = {}
    for row in _ROW.finditer(index):
        part = parts.setdefault(row[1].capitalize(), [])
        part += [name for name in _LINK.findall(row[0]) if name not in part]
    blocks = [
        f"```{{toctree}}\n:hidden:\n:caption: {kind}\n\n" + "\n".join(names) + "\n```\n"
        for kind, names in parts.items()
    ]
    return "\n".join(blocks)


def _add_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == root_doc:
        source[0] += "\n" + contents(source[0])


def name_language(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Tells browsers which pages are Chinese: they choose the letters' shapes by that."""
    if pagename.startswith("docs/zh/") or pagename.endswith(".zh-CN"):
        context["language"] = "zh-CN"


def setup(app: Sphinx) -> None:
    """Diagrams are shown as their text: the site loads nothing from elsewhere."""
    app.add_lexer("mermaid", TextLexer)
    app.connect("source-read", _add_contents)
    app.connect("html-page-context", name_language)
