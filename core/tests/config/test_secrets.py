"""Secrets: from files of their own, warned about where others can read, never quoted."""

from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from dsched.config import read_settings
from dsched.contracts.hookspecs import hookimpl
from dsched.contracts.providers import BalancerProvider, StoreProvider
from dsched.loading import Catalogue, load_catalogue


def test_a_secret_is_read_from_the_file_beside_the_configuration(
    write: Any, catalogue: Catalogue, tmp_path: Any
) -> None:
    (tmp_path / "etc").mkdir()
    write("hunter2\n", "etc/pw")
    path = write("redis: {password_file: pw}", "etc/dsched.yaml", mode=0o644)
    loaded = read_settings(path, {}, {"store": "redis"}, catalogue)
    assert loaded.stores["redis"].password == "hunter2"
    assert loaded.origin("redis", "password") == "etc/dsched.yaml:1, read from the file named there"
    assert loaded.warnings == ()


def test_a_variable_may_name_the_file_of_a_secret_and_wins_over_the_configuration(
    write: Any, catalogue: Catalogue
) -> None:
    write("hunter3", "pw")
    path = write("redis: {password: hunter2}")
    loaded = read_settings(path, {"DSCHED_REDIS__PASSWORD_FILE": "pw"}, {}, catalogue)
    assert loaded.stores["redis"].password == "hunter3"


def test_settings_given_in_code_may_name_the_file_of_a_secret_too(
    write: Any, catalogue: Catalogue
) -> None:
    flags = {"redis.password_file": write("hunter4\n", "pw")}
    assert read_settings(None, {}, flags, catalogue).stores["redis"].password == "hunter4"


@attrs.frozen(kw_only=True)
class _RereadOptions:
    password: str = attrs.field(default="", repr=False)
    password_file: str = attrs.field(default="", metadata={"read_again": True})
    ca_file: str = ""


@asynccontextmanager
async def _opened(*_: Any) -> Any:
    yield None


class _Reread:
    @hookimpl
    def dsched_stores(self) -> list[StoreProvider]:
        return [StoreProvider(name="sqlite", open=_opened, options=_RereadOptions)]

    @hookimpl
    def dsched_balancers(self) -> list[BalancerProvider]:
        return [BalancerProvider(name="least-tasks", build=lambda options: None)]


def test_a_plugin_that_reads_a_secret_again_is_told_the_file_too(
    write: Any, tmp_path: Path
) -> None:
    catalogue = load_catalogue(extra_plugins=[_Reread()], path=[])
    (tmp_path / "etc").mkdir()
    write("hunter2\n", "etc/pw")
    path = write("sqlite: {password_file: pw, ca_file: ca}", "etc/dsched.yaml")
    options = read_settings(path, {}, {}, catalogue).stores["sqlite"]
    assert options.password == "hunter2"
    assert options.password_file == str(tmp_path / "etc" / "pw")
    assert options.ca_file == "ca", "a file that holds no setting stays as it is written"


def test_a_variable_may_name_the_file_that_a_plugin_reads_again(write: Any, tmp_path: Path) -> None:
    catalogue = load_catalogue(extra_plugins=[_Reread()], path=[])
    variables = {"DSCHED_SQLITE__PASSWORD_FILE": write("hunter3", "pw")}
    options = read_settings(None, variables, {}, catalogue).stores["sqlite"]
    assert (options.password, options.password_file) == ("hunter3", str(tmp_path / "pw"))


BAD_SECRET_FILES = {
    "redis: {password: x, password_file: pw}": (
        "redis.password_file",
        "and password are both given; remove one",
    ),
    "redis: {password_file: nope}": (
        "redis.password_file",
        "cannot be read: No such file or directory; check the path and its mode",
    ),
    "redis: {password_file: 3}": ("redis.password_file", "must be the path of a file"),
    "redis: {password_file: binary}": (
        "redis.password_file",
        "cannot be read: it is not UTF-8 text; check the path and its mode",
    ),
    "redis: {password_file: huge}": (
        "redis.password_file",
        "cannot be read: it has more than 65536 bytes; check the path and its mode",
    ),
    "redis: {addr_file: pw}": ("redis.addr_file", "is not a known key; did you mean 'addr'?"),
}


@pytest.mark.parametrize("text", BAD_SECRET_FILES)
def test_a_secret_that_cannot_be_read_from_its_file_is_refused(
    text: str, write: Any, refused: Any, catalogue: Catalogue
) -> None:
    write("hunter2", "pw")
    write(b"\xff\xfe", "binary")
    write(b"x" * 70_000, "huge")
    found = refused(read_settings, write(text), {}, {}, catalogue)
    assert found == [("dsched.yaml", *BAD_SECRET_FILES[text])]


@pytest.mark.parametrize(
    ("text", "mode", "key"),
    [
        ("redis: {password: hunter2}", 0o644, "redis.password"),
        ("redis: {password: hunter2}", 0o640, "redis.password"),
        ("redis: {url: 'redis://u:hunter2@h/0'}", 0o604, "redis.url"),
        ("executors: {http: {secrets: {api: hunter2}}}", 0o644, "executors.http.secrets.api"),
    ],
)
def test_a_plain_secret_in_a_file_that_others_can_read_is_a_warning(
    text: str, mode: int, key: str, write: Any, catalogue: Catalogue
) -> None:
    (warning,) = read_settings(write(text, mode=mode), {}, {"store": "redis"}, catalogue).warnings
    assert warning.startswith(
        f"dsched.yaml holds secrets ({key}) and can be read by others (mode {mode:04o}); "
        "run chmod 600 on it"
    )
    assert "hunter2" not in warning


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("redis: {password: hunter2}", 0o600),
        ('redis: {password: ""}', 0o644),
        ("redis: {url: 'redis://h/0', addr: 'h:1'}", 0o644),
    ],
)
def test_no_secret_or_a_file_of_its_own_is_no_warning(
    text: str, mode: int, write: Any, catalogue: Catalogue
) -> None:
    assert read_settings(write(text, mode=mode), {}, {"store": "redis"}, catalogue).warnings == ()


def test_a_refused_secret_is_not_quoted(write: Any, refused: Any, catalogue: Catalogue) -> None:
    found = refused(read_settings, write("redis: {password: 81549300}"), {}, {}, catalogue)
    reason = "must be text; put it in quotes (its value is not shown)"
    assert found == [("dsched.yaml", "redis.password", reason)]
