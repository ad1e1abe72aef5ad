"""No token, key or usable password lies in the repository (S02)."""

import re
import subprocess

from workspace import ROOT

# Forms of real secrets. Words such as `change-me` are meant to be replaced, and do not look like
# them.
SECRET = re.compile(
    r"dsk_[A-Za-z0-9]{4,}_[A-Za-z0-9_-]{16,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=]{20}"
    r"|eyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\."
)
# A password that a sample file would really start with; a variable that must be set is none, nor
# is the name of a secret that Kubernetes keeps.
ASSIGNED = re.compile(
    r"^\s*-?\s*\"?(?:\w*_)?(password|token|secret)\"?\s*[:=]\s*"
    r"(?![\s\"']*\$\{\w+:\?)(?!\{secretName: )\S",
    re.IGNORECASE | re.MULTILINE,
)
SAMPLES = ("*.yaml", "*.yml", "*.toml", "*.env", "Dockerfile*", "*.conf", "*.acl", "*.cfg")


def _tracked(*patterns: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listed.stdout.split()


def test_no_tracked_file_holds_anything_like_a_secret():
    found = [
        name
        for name in _tracked()
        if SECRET.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_no_sample_sets_a_password_or_a_token():
    found = [
        f"{name}: {match.group(0).strip()}"
        for name in _tracked(*SAMPLES)
        for match in ASSIGNED.finditer((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_search_finds_what_it_looks_for():
    token = "dsk_" + "a1b2c3" + "_" + "x" * 30
    assert SECRET.search(f"curl -H 'Authorization: Bearer {token}'")
    assert ASSIGNED.search("redis:\n  password: hunter2\n")
    assert not ASSIGNED.search('  DSCHED_REDIS__PASSWORD: "${DSCHED_REDIS__PASSWORD:?choose}"')
    assert not ASSIGNED.search("redis: {addr: 'localhost:6379', password: ''}")
