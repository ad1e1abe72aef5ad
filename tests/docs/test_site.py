"""The documentation site: every page is in it, and no link of it is broken."""

import importlib.util
import shutil
import subprocess
import sys

import pytest
from pages import ROOT, pages, text_of

SITE = ROOT / "docs/site"


def configuration():
    spec = importlib.util.spec_from_file_location("site_conf", SITE / "conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(source, target):
    """Read all pages as the site does, without writing them."""
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "-c", str(SITE),
         "-b", "dummy", str(source), str(target)],
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip


@pytest.mark.slow
def test_every_page_can_be_read_and_every_link_leads_somewhere(tmp_path):
    done = read(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    trees = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.doctree")}
    wanted = {page.relative_to(ROOT).with_suffix(".doctree").as_posix() for page in pages()}
    assert {f".doctrees/{one}" for one in wanted} <= trees


@pytest.mark.slow
def test_a_broken_link_is_an_error(tmp_path):
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs/metrics.md", tmp_path / "docs")
    (tmp_path / "docs/index.md").write_text("# One\n\n[x](nowhere.txt) [y](metrics.md#none)\n")
    done = read(tmp_path, tmp_path / "built")
    assert done.returncode != 0
    assert "'nowhere.txt'" in done.stderr
    assert "'none'" in done.stderr


def test_the_list_at_the_side_has_what_the_first_page_names():
    made = configuration().contents(text_of(ROOT / "docs/index.md"))
    assert [line for line in made.splitlines() if "caption" in line] == [
        ":caption: Learn", ":caption: Do", ":caption: Understand", ":caption: Look up",
        ":caption: 中文",
    ]  # fmt: skip
    named = [line for line in made.splitlines() if line and line[0] not in "`:"]
    assert len(named) == len(set(named)) > 20
    assert {"first-schedule", "operating", "deploying", "runbooks", "metrics"} <= set(named)


def test_chinese_pages_are_told_to_browsers_as_chinese():
    conf = configuration()
    for name, language in (
        ("docs/zh/usage", "zh-CN"),
        ("docs/usage", "en"),
        ("README.zh-CN", "zh-CN"),
    ):
        context = {"language": "en"}
        conf.name_language(None, name, "page.html", context, None)
        assert context["language"] == language


def test_the_site_loads_nothing_from_elsewhere():
    said = (SITE / "conf.py").read_text(encoding="utf-8")
    assert "https://" not in said
    assert "html_js_files" not in said
