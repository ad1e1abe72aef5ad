"""The page about limits, walked as its reader would; and what it says that `why` says."""

import contextlib
import json

import pytest
from pages import ROOT, blocks_of, text_of
from walk import Walk

from dsched.config.settings import TaskSettings
from dsched.config.task_file import read_tasks
from dsched.contracts.store.limits import MAX_PLACE
from dsched.explaining.limits import LimitFacts, told_of_limits
from dsched.loading import load_catalogue
from dsched.model.limits import own_limit

PAGE = ROOT / "docs/limits.md"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_commands_of_the_page_do_what_it_says(tmp_path):
    with contextlib.ExitStack() as stack:
        walk = Walk(tmp_path, stack)
        made, rated, used = (block for block in blocks_of(PAGE) if block.language == "sh")
        walk.take(made)
        rows = [line.split() for line in walk.last("dsched --local limit list").out.splitlines()]
        assert [[row[0], row[1], *row[-2:]] for row in rows[1:]] == [
            [*one, "0", "0"] for one in (["crm-api", "5"], ["tenant", "2"], ["tenant:acme", "4"])
        ]
        walk.take(rated)
        rows = [line.split() for line in walk.ask("dsched --local limit list").splitlines()]
        assert ["mail", "-", "100/1m", "10", "0", "0"] in rows
        assert ["mail:acme", "3", "5/1s", "-", "0", "0"] in rows
        shown = walk.take(used)
        assert [line.split()[-1] for line in shown[0].out.splitlines()[:2]] == ["tenant:acme", "4"]
        assert shown[-1].code == 3
        left = json.loads(walk.ask("dsched --local limit list -o json"))
        assert [one["id"] for one in left] == ["crm-api", "mail", "mail:acme", "tenant"]


def test_a_trigger_names_the_instance_that_the_page_says(tmp_path):
    (shown,) = (one for one in blocks_of(PAGE) if "${params.tenant}" in one.text)
    (tmp_path / "tasks.yaml").write_text(shown.text)
    path = str(tmp_path / "tasks.yaml")
    (config,) = read_tasks(path, defaults=TaskSettings(), catalogue=load_catalogue())
    assert config.spec.limits == ("tenant:acme",)
    assert config.spec_with({"tenant": "initech"}).limits == ("tenant:initech",)


def test_the_config_of_the_page_has_a_limit_of_its_own(tmp_path):
    (shown,) = (one for one in blocks_of(PAGE) if "resize-pictures" in one.text)
    (tmp_path / "tasks.yaml").write_text(shown.text)
    path = str(tmp_path / "tasks.yaml")
    (config,) = read_tasks(path, defaults=TaskSettings(), catalogue=load_catalogue())
    assert config.spec.limits == ("~resize-pictures",)


def test_why_says_what_the_page_says():
    facts = LimitFacts(name="tenant:acme", most=2, held=2, waiting=3, place=2)
    (told,) = told_of_limits([facts])
    words = (
        "Limit tenant:acme: 2 of 2 places are held, and 3 tasks wait under it, this one as number 2"
    )
    assert told.startswith(words)
    assert words in " ".join(text_of(PAGE).split())
    facts = LimitFacts(name=own_limit("resize-pictures"), most=3, held=3, waiting=12)
    (told,) = told_of_limits([facts])
    words = "3 of 3 runs of resize-pictures are running, and 12 tasks wait for one to end"
    assert told.startswith(words)
    assert words in " ".join(text_of(PAGE).split())
    facts = LimitFacts(
        name="mail", most=None, held=3, waiting=1, rate="100/1m", tokens=0, next_token_ms=0
    )
    (told,) = told_of_limits([facts])
    words = "Limit mail: It has no token at 100/1m, the next one comes at"
    assert told.startswith(words)
    assert words in " ".join(text_of(PAGE).split())


def test_why_tells_the_place_in_a_long_line_as_far_as_it_is_counted():
    facts = LimitFacts(name="crm", most=1, held=1, waiting=20_000, place=9_999)
    assert "20000 tasks wait under it, this one as number 9999:" in told_of_limits([facts])[0]
    facts = LimitFacts(name="crm", most=1, held=1, waiting=20_000, place=MAX_PLACE)
    assert "this one as number 10000 or later:" in told_of_limits([facts])[0]
    facts = LimitFacts(name="crm", most=1, held=1, waiting=1, place=1)
    assert told_of_limits([facts]) == [
        "Limit crm: 1 of 1 place is held, and 1 task waits under it."
    ]
