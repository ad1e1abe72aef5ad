"""What the architecture tests look at: the workspace's own sources."""

import ast
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = (
    "core",
    "executors-local",
    "executors-http",
    "executors-grpc",
    "executors-mq",
    "plugins/balancers",
    "plugins/store-sqlite",
    "plugins/store-redis",
    "plugins/metrics-prometheus",
    "plugins/api-http",
    "plugins/console",
    "cli",
    "clients/http",
    "plugins/alerts",
    "plugins/testkit",
)

# What set-up and test runs leave behind.
MADE = {".venv", ".git", "__pycache__", ".hypothesis", ".mypy_cache", ".ruff_cache", ".dsched"} | {
    ".pytest_cache",
    ".import_linter_cache",
    "node_modules",
}


@cache
def metadata(member: str) -> dict:
    """The member's pyproject.toml."""
    return tomllib.loads((ROOT / member / "pyproject.toml").read_text())


@cache
def sources() -> dict[Path, ast.Module]:
    """Every source file of every distribution, parsed."""
    files = [path for member in MEMBERS for path in sorted((ROOT / member / "src").rglob("*.py"))]
    return {path.relative_to(ROOT): ast.parse(path.read_text()) for path in files}


@cache
def tracked() -> tuple[Path, ...]:
    """Every file git knows or would take; of an unpacked archive, every file that was in it."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    if (ROOT / ".git").exists() and shutil.which("git"):
        done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
        return tuple(path for name in done.stdout.splitlines() if (path := ROOT / name).is_file())
    return tuple(
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not MADE.intersection(path.relative_to(ROOT).parts)
    )
