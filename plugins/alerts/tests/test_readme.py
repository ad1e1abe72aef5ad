"""The README says what is true: its configuration is read, its tables are the options and kinds."""

import re
from pathlib import Path

import attrs
from alert_hook import SECRET

from dsched.config import format_duration, read_settings
from dsched.loading import load_catalogue
from dsched_alerts.alert import FACTS, Kind
from dsched_alerts.options import AlertOptions
from dsched_alerts.signing import HEADER, sign

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def rows(head):
    _, _, rest = README.partition(f"| {head} |")
    lines = rest.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return found


def shown(value):
    if hasattr(value, "total_seconds"):
        return f"`{format_duration(value)}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return {"": "`''`", None: "`null`"}.get(value, f"`{value}`") if value != {} else "`{}`"


def test_every_option_is_in_the_table_with_its_default():
    plain = AlertOptions()
    fields = [field.name for field in attrs.fields(AlertOptions)]
    assert {row[0].strip("`"): row[1] for row in rows("option")} == {
        name: shown(getattr(plain, name)) for name in fields
    }


def test_every_kind_and_every_fact_is_named():
    assert [row[0].strip("`") for row in rows("kind")] == [kind.value for kind in Kind]
    (line,) = re.findall(r"\*\*Facts\*\*: (.*?)\.\n", README)
    named = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", line))
    assert set(named) == FACTS


def test_the_configuration_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alert-secret").write_text(SECRET)
    (tmp_path / "dsched.yaml").write_text(block("yaml"))
    (tmp_path / "dsched.yaml").chmod(0o600)
    options = read_settings("dsched.yaml", {}, {}, load_catalogue()).observers["alerts"]
    assert options.secret == SECRET
    assert len(options.silences) == 2


def test_the_receivers_code_verifies():
    names = {}
    exec(block("python"), names)
    import time

    header = sign(SECRET, b"{}", int(time.time()))
    assert names["is_genuine"](SECRET, {HEADER: header}, b"{}")
    assert not names["is_genuine"](SECRET, {HEADER: header}, b"{ }")
