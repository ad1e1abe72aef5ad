"""Every threat is mapped to a test that exists, or says why it is not; the promises can be
found."""

import re

import attrs
from maps import problems_of, rows_of
from pages import ROOT, text_of

from dsched_api_http.options import ApiOptions

PAGE = ROOT / "docs/security.md"
LAST = 52


def test_every_threat_is_mapped_once_to_tests_that_exist():
    assert problems_of(rows_of(PAGE), "S", LAST) == []


def test_no_threat_is_excused():
    bare = {row.id for row in rows_of(PAGE) if not row.tests}
    assert bare == set()


def test_there_is_a_private_way_to_report_and_no_invented_address():
    text = text_of(ROOT / "SECURITY.md")
    assert "Report a vulnerability" in text
    assert "@" not in text
    assert "(SECURITY.md)" in text_of(ROOT / "README.md")


def test_every_setting_that_hardening_names_is_one():
    reference = text_of(ROOT / "docs/configuration.md")
    for key in ("password_file", "plugins.enabled", "executors.http", "executors.grpc"):
        assert key.rpartition(".")[2] in reference
    named = set(re.findall(r"`api\.(\w+)", text_of(PAGE)))
    assert {"hosts", "auth", "origins", "admin_token", "rate_per_s", "max_configs"} <= named
    assert named <= {field.name for field in attrs.fields(ApiOptions)}
