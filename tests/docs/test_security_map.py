"""Every threat is mapped to a test that exists, or says why it is not; the promises can be found."""

from maps import problems_of, rows_of
from pages import ROOT, text_of

PAGE = ROOT / "docs/security.md"
LAST = 42


def test_every_threat_is_mapped_once_to_tests_that_exist():
    assert problems_of(rows_of(PAGE), "S", LAST) == []


def test_few_threats_are_excused():
    bare = {row.id for row in rows_of(PAGE) if not row.tests}
    later = {"S01", *(f"S{number}" for number in range(20, 26)), "S40", "S41"}  # the HTTP API's
    assert bare == later | {"S04", "S39"}


def test_there_is_a_private_way_to_report_and_no_invented_address():
    text = text_of(ROOT / "SECURITY.md")
    assert "Report a vulnerability" in text
    assert "@" not in text
    assert "(SECURITY.md)" in text_of(ROOT / "README.md")


def test_every_setting_that_hardening_names_is_one():
    reference = text_of(ROOT / "docs/configuration.md")
    for key in ("password_file", "plugins.enabled", "executors.http", "executors.grpc"):
        assert key.rpartition(".")[2] in reference
