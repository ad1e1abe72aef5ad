"""Where the command goes and which token it sends: flags, environment, profiles."""

import socket
from pathlib import Path

import pytest

from dsched_cli.calling import Api
from dsched_cli.connection import DEFAULT_URL, find_target, plain_text_token
from dsched_cli.errors import CliError, UsageError


@pytest.fixture
def profiles(tmp_path: Path) -> dict[str, str]:
    """A profiles file with two servers, and the environment that names it."""
    (tmp_path / "prod.token").write_text("dsk_prod_secret\n")
    (tmp_path / "prod.token").chmod(0o600)
    path = tmp_path / "profiles.yaml"
    path.write_text(
        "default: prod\n"
        "profiles:\n"
        "  prod: {url: 'https://prod.example', token_file: prod.token}\n"
        "  dev: {url: 'http://127.0.0.1:9'}\n"
    )
    return {"DSCHED_PROFILES": str(path)}


def test_without_anything_it_is_the_default_port_of_this_machine(tmp_path: Path):
    target = find_target({"XDG_CONFIG_HOME": str(tmp_path)})
    assert (target.url, target.token) == (DEFAULT_URL, "")


def test_the_default_profile_brings_address_and_token(profiles: dict[str, str]):
    target = find_target(profiles)
    assert (target.url, target.token) == ("https://prod.example", "dsk_prod_secret")


def test_the_environment_wins_over_the_profile_and_flags_over_both(profiles: dict[str, str]):
    env = {**profiles, "DSCHED_URL": "http://env", "DSCHED_TOKEN": "from-env"}
    assert find_target(env).url == "http://env"
    found = find_target(env, url="http://flag", token="from-flag")
    assert (found.url, found.token) == ("http://flag", "from-flag")


def test_another_address_never_gets_the_token_of_the_profile(profiles: dict[str, str]):
    assert find_target({**profiles, "DSCHED_URL": "http://elsewhere"}).token == ""
    assert find_target(profiles, url="http://elsewhere").token == ""


def test_a_profile_that_is_named_wins_over_the_environment(profiles: dict[str, str]):
    env = {**profiles, "DSCHED_URL": "http://env", "DSCHED_TOKEN": "from-env"}
    found = find_target(env, profile="dev")
    assert (found.url, found.token) == ("http://127.0.0.1:9", "")


def test_a_profile_that_does_not_exist_is_named_with_those_that_do(profiles: dict[str, str]):
    with pytest.raises(UsageError) as caught:
        find_target(profiles, profile="staging")
    assert "dev, prod" in caught.value.why


def test_a_token_file_that_others_can_read_is_refused(profiles: dict[str, str], tmp_path: Path):
    (tmp_path / "prod.token").chmod(0o640)
    with pytest.raises(UsageError) as caught:
        find_target(profiles)
    assert "mode 0640" in caught.value.what
    assert "chmod 600" in caught.value.todo


def test_a_profiles_file_with_a_token_in_it_must_be_private_too(tmp_path: Path):
    path = tmp_path / "profiles.yaml"
    path.write_text("profiles: {p: {url: 'http://x', token: secret}}")
    path.chmod(0o644)
    with pytest.raises(UsageError, match="can be read by others"):
        find_target({"DSCHED_PROFILES": str(path)}, profile="p")
    path.chmod(0o600)
    assert find_target({"DSCHED_PROFILES": str(path)}, profile="p").token == "secret"


@pytest.mark.parametrize(
    "text", ["[]", "profiles: 3", "profiles: {p: {urll: x}}", "profiles: {p: {url: 3}}", "{a: ["]
)
def test_a_profiles_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "profiles.yaml"
    path.write_text(text)
    with pytest.raises(UsageError):
        find_target({"DSCHED_PROFILES": str(path)}, profile="p")


def test_no_representation_shows_the_token(profiles: dict[str, str]):
    assert "secret" not in repr(find_target(profiles))


@pytest.mark.parametrize(
    ("url", "open_"),
    [
        ("http://prod.example", True),
        ("http://127.evil.example@x", True),
        ("http://localhost.evil.example", True),
        ("http://127.0.0.1:8700", False),
        ("http://localhost:1", False),
        ("http://[::1]:1", False),
        ("https://prod.example", False),
    ],
)
def test_a_token_in_plain_text_over_a_network_is_noticed(url: str, open_: bool):
    target = find_target({"XDG_CONFIG_HOME": "/nonexistent"}, url=url, token="t")
    assert plain_text_token(target) == open_


@pytest.mark.parametrize("url", ["127.0.0.1:8700", "ftp://x", "http://", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused(url: str):
    with pytest.raises(UsageError, match="no address"):
        Api(url)


def test_a_token_with_a_line_break_cannot_forge_a_header():
    with pytest.raises(UsageError, match="malformed"):
        find_target({"XDG_CONFIG_HOME": "/nonexistent"}, token="a\r\nX-Evil: 1")


def test_a_server_that_takes_a_call_and_says_nothing_is_not_called_missing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = Api(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)
        with pytest.raises(CliError) as caught:
            api.call("GET", "/cluster")
    assert caught.value.why == "it did not answer in time"
    assert "start a pod" not in caught.value.todo
    assert "its pod still runs" in caught.value.todo
