"""The files that are served: complete, small, from nowhere else, and each with its one job."""

import gzip
import hashlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dsched_console.plugin import WEB, dsched_pages

HERE = Path(__file__).resolve().parent.parent
OWN = sorted(path for path in WEB.rglob("*.js") if "vendor" not in path.parts)
IMPORT = re.compile(r'(?:from|import)\s*"([^"]+)"')
LATER = re.compile(r'import\("([^"]+)"\)')
KEY = re.compile(r"^  (\w+): ", re.MULTILINE)
TEXTS = {WEB / "texts/en.js", WEB / "texts/zh.js"}  # one of them is loaded: the reader's
USED = re.compile(r'\bt\("(\w+)"')
MADE = re.compile(r"\bt\(`(\w+_)\$\{")  # a key that ends in a word of the API


def named(path: Path) -> str:
    return path.relative_to(WEB).as_posix()


def reached(*starts: Path, later: bool) -> set[Path]:
    """Every module that these import, directly or not; with those that are brought ``later``."""
    found: set[Path] = set()
    wanted = list(starts)
    while wanted:
        path = wanted.pop()
        if path not in found:
            found.add(path)
            text = path.read_text()
            named = IMPORT.findall(text) + (LATER.findall(text) if later else [])
            wanted += [(path.parent / one).resolve() for one in named]
    return found


def zipped(path: Path) -> int:
    return len(gzip.compress(path.read_bytes(), 9))


def keys(language: str) -> list[str]:
    return KEY.findall((WEB / "texts" / f"{language}.js").read_text())


def test_the_plugin_hands_over_a_folder_with_an_index() -> None:
    (pages,) = dsched_pages()
    assert pages.name == "ui"
    assert (pages.folder / "index.html").is_file()


def test_every_module_is_used_and_every_import_is_there() -> None:
    assert reached(WEB / "main.js", later=True) | TEXTS == set(WEB.rglob("*.js"))


def test_what_the_index_names_is_there() -> None:
    index = (WEB / "index.html").read_text()
    found = re.findall(r'(?:href|src)="([^"]+)"', index)
    assert all(one.startswith("./") and (WEB / one).is_file() for one in found)
    assert "<style" not in index
    assert " style=" not in index
    assert re.findall(r"<script(?![^>]* src=)", index) == []
    assert re.findall(r"\son\w+=", index) == []


def test_one_file_fetches_and_one_listens() -> None:
    fetch = [
        named(path) for path in OWN if re.search(r"\bfetch\(|XMLHttpRequest", path.read_text())
    ]
    listen = [named(path) for path in OWN if "new EventSource(" in path.read_text()]
    assert (fetch, listen) == (["api.js"], ["live.js"])


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
)
def test_no_text_can_become_markup_or_code(word: str) -> None:
    assert [named(path) for path in OWN if word in path.read_text()] == []


def test_nothing_is_named_that_lies_elsewhere() -> None:
    own = [*OWN, WEB / "index.html", WEB / "style.css"]
    found = {
        url for path in own for url in re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text())
    }
    assert found == set()


def test_all_of_it_is_small() -> None:
    assert sum(map(zipped, (path for path in WEB.rglob("*") if path.is_file()))) < 150_000
    first = [WEB / "index.html", WEB / "style.css", max(TEXTS, key=zipped)]
    start = reached(WEB / "main.js", later=False)
    assert sum(map(zipped, [*start, *first])) < 70_000


def test_a_page_brings_little_more_than_the_first_one_has() -> None:
    start = reached(WEB / "main.js", later=False)
    for page in sorted((WEB / "pages").glob("*.js")):
        more = reached(page, later=False) - start
        assert sum(map(zipped, more)) < 20_000, page.name


def test_the_languages_have_the_same_texts_in_the_same_order() -> None:
    assert keys("en") == keys("zh")
    assert len(set(keys("en"))) == len(keys("en"))


def test_every_text_that_is_used_exists_and_nothing_is_left_over() -> None:
    sources = "\n".join(path.read_text() for path in OWN if path.parent.name != "texts")
    assert set(USED.findall(sources)) <= set(keys("en"))
    words = set(re.findall(r"\w+", sources))
    made = {f"{act}Title" for act in words}  # what a dialog asks is named after its act
    begun = tuple(MADE.findall(sources))
    left = [key for key in keys("en") if key not in words | made]
    assert [key for key in left if not key.startswith(begun)] == []


def test_what_is_of_others_is_what_the_table_says() -> None:
    table = tomllib.loads((HERE / "vendored.toml").read_text())["library"]
    lying = {path.name: path for path in (WEB / "vendor").iterdir()}
    assert {one["file"] for one in table} == set(lying)
    for one in table:
        assert one["licence"]
        assert hashlib.sha256(lying[one["file"]].read_bytes()).hexdigest() == one["kept"], one


@pytest.mark.slow
def test_the_first_steps_that_are_shown_to_a_newcomer_work(tmp_path: Path) -> None:
    shown = dict(
        re.findall(r"const (\w+) = `(.+?)`;", (WEB / "pages/now.js").read_text(), re.DOTALL)
    )
    run = re.search(r'const RUN = "dsched-run (.+?)";', (WEB / "pages/now.js").read_text())
    assert run is not None
    (tmp_path / "jobs.py").write_text(shown["JOBS"])
    (tmp_path / "tasks.yaml").write_text(shown["TASKS"])
    command = [str(Path(sys.executable).parent / "dsched-run"), *run[1].split(), "--check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "hello-every-minute" in done.stdout + done.stderr
