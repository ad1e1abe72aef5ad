"""The options, and the three small languages in them: templates, silences, signatures."""

from datetime import UTC, datetime, timedelta

import pytest
from alert_hook import SECRET
from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.config import ConfigError, print_config, read_settings
from dsched.loading import load_catalogue
from dsched_alerts.alert import FACTS, Alert, Kind
from dsched_alerts.options import AlertOptions
from dsched_alerts.signing import sign, verify
from dsched_alerts.silences import read_silence, silenced
from dsched_alerts.templates import problems, render

URL = "https://hooks.example.com/services/T0/very-secret"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"url": URL}, "secret is missing"),
        ({"url": URL, "secret": "short"}, "at least 16 characters"),
        ({"url": URL, "secret": "secret://vault/x"}, "may refer to secret://env/NAME"),
        ({"url": URL, "secret": "secret://env/NOT_SET_ANYWHERE"}, "is not set"),
        ({"url": "ftp://x", "secret": SECRET}, "url must be like"),
        ({"url": "https://u:p@x", "secret": SECRET}, "user or a password"),
        ({"url": "http://2130706433/x", "secret": SECRET}, "four decimal numbers"),
        ({"kinds": ("failed", "failled")}, "did you mean 'failed'"),
        ({"allow": ("http://x",)}, "alerts.allow"),
        ({"headers": {"X-A": "a\r\nb"}}, "headers"),
        ({"attempts": 0}, "attempts must be"),
        ({"queue": 0}, "queue must be"),
        ({"late_after": timedelta(0)}, "late_after must be"),
        ({"template": {"text": ["${sumary}"]}}, "did you mean 'summary'"),
        ({"silences": ("whenever",)}, "is no window"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_key(given, reason):
    with pytest.raises(ValueError, match=reason):
        AlertOptions(**given)


def test_the_section_is_read_from_yaml_and_shows_neither_secret_nor_address(tmp_path):
    (tmp_path / "key").write_text(SECRET + "\n")
    file = tmp_path / "dsched.yaml"
    file.write_text(
        f"""
alerts:
  url: {URL}
  secret_file: {tmp_path / "key"}
  kinds: [failed, late]
  late_after: 90s
  headers: {{X-Team: blue}}
  silences: ["sat,sun 00:00-24:00 Europe/Berlin"]
  template: {{text: "${{summary}}", n: 3}}
"""
    )
    file.chmod(0o600)
    loaded = read_settings(str(file), {}, {}, load_catalogue())
    options = loaded.observers["alerts"]
    assert (options.secret, options.url) == (SECRET, URL)
    assert options.late_after == timedelta(seconds=90)
    shown = print_config(loaded)
    assert SECRET not in shown
    assert "very-secret" not in shown
    assert SECRET not in repr(options)
    file.write_text("alerts: {kinds: [faild]}\n")
    with pytest.raises(ConfigError, match="did you mean 'failed'"):
        read_settings(str(file), {}, {}, load_catalogue())


FACT = Alert(
    id="failed:1:0", kind=Kind.FAILED, key="k", at_ms=1, summary="it ${kind} {config}", value=7.5
).facts


def test_a_template_takes_facts_by_name_and_keeps_the_kind_of_a_lone_one():
    template = {"text": "${kind}: ${summary}", "raw": ["${value}", "${repeats}"], "n": 3}
    assert render(template, FACT) == {
        "text": "failed: it ${kind} {config}",
        "raw": [7.5, 0],
        "n": 3,
    }


@pytest.mark.parametrize(
    "text", ["{{7*7}}", "{config}", "$kind", "${", "%(kind)s", "{0.__class__}", "${{kind}}", "$${"]
)
def test_nothing_else_means_anything(text):
    assert problems(text) == []
    assert render(text, FACT) == text


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(FACTS)), st.text()))
def test_what_is_put_in_is_never_looked_into_again(values):
    facts = {**dict.fromkeys(FACTS, ""), **values}
    template = "".join(f"<${{{name}}}>" for name in sorted(FACTS))
    assert render(template, facts) == "".join(f"<{facts[name]}>" for name in sorted(FACTS))


def at(text):
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("line", "moment", "holds"),
    [
        ("sat,sun 00:00-24:00 Europe/Berlin", "2026-01-03T12:00:00+01:00", True),
        ("sat,sun 00:00-24:00 Europe/Berlin", "2026-01-02T23:30:00+00:00", True),
        ("sat,sun 00:00-24:00 Europe/Berlin", "2026-01-05T00:00:00+01:00", False),
        ("22:00-06:00 UTC", "2026-01-05T05:59:00Z", True),
        ("22:00-06:00 UTC", "2026-01-05T06:00:00Z", False),
        ("22:00-06:00 UTC", "2026-01-05T22:00:00Z", True),
        ("fri 22:00-06:00 UTC", "2026-01-03T01:00:00Z", True),
        ("fri 22:00-06:00 UTC", "2026-01-02T01:00:00Z", False),
        ("fri-mon 10:00-11:00 UTC", "2026-01-04T10:30:00Z", True),
        ("fri-mon 10:00-11:00 UTC", "2026-01-06T10:30:00Z", False),
        ("2026-01-01T00:00:00Z/2026-01-02T00:00:00Z", "2026-01-01T23:59:59Z", True),
        ("2026-01-01T00:00:00Z/2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z", False),
        ("00:00-24:00 UTC late,backlog", "2026-01-02T00:00:00Z", False),
    ],
)
def test_a_window_holds_from_its_beginning_to_before_its_end(line, moment, holds):
    assert silenced([read_silence(line)], Kind.FAILED, at(moment)) is holds


def test_a_window_of_kinds_holds_for_those_only():
    windows = [read_silence("00:00-24:00 UTC late,backlog")]
    now_ms = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert [kind.value for kind in Kind if silenced(windows, kind, now_ms)] == ["late", "backlog"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "22:00-06:00",
        "25:00-26:00 UTC",
        "22:61-23:00 UTC",
        "caturday 22:00-06:00 UTC",
        "22:00-06:00 Mars/Base",
        "22:00-06:00 UTC sleeping",
        "2026-01-01T00:00:00/2026-01-02T00:00:00",
        "2026-01-02T00:00:00Z/2026-01-01T00:00:00Z",
        "x/y",
    ],
)
def test_a_window_that_cannot_be_is_refused_with_its_line(line):
    with pytest.raises(ValueError, match="silences: "):
        read_silence(line)


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2**33))
def test_a_signature_holds_for_its_secret_body_and_time_only(body, now_s):
    header = sign(SECRET, body, now_s)
    assert verify(SECRET, header, body, now_s + 299)
    assert not verify(SECRET, header, body, now_s + 301)
    assert not verify(SECRET, header, body, now_s - 301)
    assert not verify(SECRET, header, body + b"x", now_s)
    assert not verify(SECRET + "x", header, body, now_s)
    assert not verify(SECRET, header.replace("t=", "t=1"), body, now_s)


@pytest.mark.parametrize("header", ["", "v1=00", "t=1", "t=1,v1=" + "0" * 63, "t=x,v1=" + "0" * 64])
def test_a_header_of_another_form_signs_nothing(header):
    assert not verify(SECRET, header, b"", 1)
