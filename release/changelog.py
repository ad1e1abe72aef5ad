"""What CHANGELOG.md says of a version: the notes of its release."""

import re

HEADING = re.compile(r"^## (?P<version>\S+?)(?:, (?P<date>\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)
UNRELEASED = "Unreleased"


def notes(text: str, version: str) -> str | None:
    """The section of a version without its heading; None if it has no dated one."""
    for heading, body in _sections(text):
        if heading["version"] == version and heading["date"]:
            return body.strip()
    return None


def problems(text: str, version: str) -> list[str]:
    """Why no release can be made of this change list."""
    found = []
    said = notes(text, version)
    if said is None:
        found.append(
            f"CHANGELOG.md has no heading `## {version}, YYYY-MM-DD`: give what stands under "
            f"{UNRELEASED} that heading"
        )
    elif not said:
        found.append(f"CHANGELOG.md says nothing about {version}")
    for heading, body in _sections(text):
        if heading["version"] == UNRELEASED and body.strip():
            found.append(
                f"CHANGELOG.md has changes under {UNRELEASED}: they belong to {version}, or wait "
                "on a branch for the next one"
            )
    return found


def _sections(text: str) -> list[tuple[re.Match[str], str]]:
    headings = list(HEADING.finditer(text))
    ends = [one.start() for one in headings[1:]] + [len(text)]
    return [(one, text[one.end() : end]) for one, end in zip(headings, ends, strict=True)]
