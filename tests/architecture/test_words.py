"""Where the field has a word, the project uses it: docs/protocol.md defines what is left."""

import re
import subprocess

import pytest
from workspace import ROOT

# A private word, and what to say instead.
INSTEAD = {
    "bells?|doorbells?": "wake-up",
    "rings?|rang|rung|ringing": "wake, woken",
    "pok(?:e|es|ed)": "beat now",
    "calm": "idle",
    "stir(?:s|red|ring)?": "active",
    "deaf": "say what is lost, and until when",
    "fates?": "outcome, update",
    "rations?": "rate limit",
}


@pytest.mark.parametrize("word", INSTEAD)
def test_the_contracts_use_the_words_of_the_field(word):
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "core/src/dsched/contracts").rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(rf"(?<![a-z])(?:{word})(?![a-z])", line, re.IGNORECASE)
    ]
    assert found == [], f"say {INSTEAD[word]}"


# What is stored keeps its name: a key, a table, a column.
STORED = re.compile(r"bell:|\bbell (?:VALUES|WHERE)|(?:FROM|INTO|TABLE) bell|\{bell\}")
# Pages that tell what was, and this one.
OF_THEIR_TIME = (
    "CHANGELOG.md",
    "docs/decisions/",
    "docs/results/",
    "docs/figures.md",
    "tests/architecture/test_words.py",
)


def test_nothing_that_wakes_is_called_a_bell():
    tracked = subprocess.run(
        ["git", "ls-files", "*.py", "*.lua", "*.md", "*.toml"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    found = [
        f"{name}:{number}"
        for name in tracked
        if not name.startswith(OF_THEIR_TIME)
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"(?<![a-z])(?:door)?bells?(?![a-z])", STORED.sub("", line), re.IGNORECASE)
    ]
    assert found == [], "say wake-up"
