"""Where the field has a word, the contracts use it: docs/protocol.md defines what is left."""

import re

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
