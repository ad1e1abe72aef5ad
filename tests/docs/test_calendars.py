"""The page about calendars says what its own task file does."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pages import ROOT, blocks, text_of

from dsched.config import TaskSettings
from dsched.config.task_file import read_tasks
from dsched.contracts.store.configs import StoredConfig
from dsched.explaining import ConfigFacts, explain_config
from dsched.loading import load_catalogue
from dsched.model import TaskConfig, to_ms
from dsched.planning import config_upcoming

PAGE = ROOT / "docs/calendars.md"


@pytest.fixture
def invoices(tmp_path: Path) -> TaskConfig:
    (block,) = (one for one in blocks("yaml") if one.page == PAGE)
    file = tmp_path / "tasks.yaml"
    file.write_text(block.text)
    (config,) = read_tasks(str(file), defaults=TaskSettings(), catalogue=load_catalogue())
    return config


def at(text: str) -> int:
    return to_ms(datetime.fromisoformat(text).astimezone(UTC))


def test_what_is_next_is_what_the_page_shows(invoices: TaskConfig) -> None:
    (first, *_) = config_upcoming(invoices, after_ms=at("2026-12-23T12:00:00Z"), limit=3).items
    assert first.local.startswith("2026-12-31T09:00:00")
    said = " ".join(text_of(PAGE).split()).partition("`7 instants")[2].partition(", ...`")[0]
    assert first.note.startswith(f"7 instants{said}, ")


def test_why_says_what_the_page_says(invoices: TaskConfig) -> None:
    stored = StoredConfig(config=invoices.stamped(created_ms=1, updated_ms=1))
    facts = ConfigFacts(
        config_id="invoices",
        at_ms=at("2026-12-25T09:00:00+01:00"),
        now_ms=at("2026-12-29T00:00:00Z"),
        stored=stored,
    )
    words = "left out by calendar bavaria: Christmas Day"
    assert words in text_of(PAGE)
    assert words in explain_config(facts).summary
