"""What an origin may look like, and how one is made of a file's or an app's name."""

from datetime import timedelta

import pytest

from dsched.model import (
    API_ORIGIN,
    InvalidConfigError,
    TaskConfig,
    code_origin,
    file_origin,
    is_origin,
)


@pytest.mark.parametrize("origin", ["api", "code:shop", "file:tasks", "file:a.b-c_d:e", "code:9"])
def test_an_origin_is_the_api_or_a_named_file_or_app(origin):
    config = TaskConfig(id="a", executor="x", every=timedelta(seconds=1), origin=origin)
    assert config.origin == origin


@pytest.mark.parametrize(
    "origin",
    ["", "API", "api:x", "file:", "code", "git:x", "file:.x", "file:a b", "x" * 9, 3, None],
)
def test_anything_else_is_refused_by_name(origin):
    assert not is_origin(origin)
    with pytest.raises(InvalidConfigError, match="origin: must be api, code:NAME or file:NAME"):
        TaskConfig(id="a", executor="x", every=timedelta(seconds=1), origin=origin)


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("tasks.yaml", "file:tasks"),
        ("/etc/dsched/nightly.d/a.prod.yaml", "file:a.prod"),
        ("my tasks.yml", "file:my_tasks"),
        (".hidden", "file:xhidden"),
        ("日報.yaml", "file:x_"),
        ("x" * 300 + ".yaml", "file:" + "x" * 128),
    ],
)
def test_the_origin_of_a_file_is_its_name_without_ending(path, origin):
    assert file_origin(path) == origin
    assert is_origin(origin)


@pytest.mark.parametrize(
    ("app", "origin"), [("shop.jobs", "code:shop.jobs"), ("_app", "code:xapp"), ("", "code:x")]
)
def test_the_origin_of_an_app_is_its_name(app, origin):
    assert code_origin(app) == origin
    assert is_origin(origin)


def test_the_content_of_two_origins_differs():
    one = TaskConfig(id="a", executor="x", every=timedelta(seconds=1))
    assert one != TaskConfig(id="a", executor="x", every=timedelta(seconds=1), origin="code:a")


def test_a_config_moved_to_another_origin_is_the_same_but_for_that() -> None:
    config = TaskConfig(id="a", executor="local", payload={"b": [1]}, every="1h")
    moved = config.of_origin("file:tasks")
    assert moved.origin == "file:tasks"
    assert moved.payload_text == config.payload_text
    assert moved.of_origin(API_ORIGIN) == config
    assert config.origin == API_ORIGIN


def test_no_config_is_moved_to_what_is_no_origin() -> None:
    config = TaskConfig(id="a", executor="local", every="1h")
    with pytest.raises(InvalidConfigError, match="origin: must be api, code:NAME or file:NAME"):
        config.of_origin("somewhere")
