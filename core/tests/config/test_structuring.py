"""Plain values to attrs classes: strict types, and every flaw at its place."""

import time
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum, IntEnum, StrEnum
from typing import Any, Literal

import attrs
import pytest

from dsched.config.problems import shown, tidy
from dsched.config.secrets import is_secret_name, without_passwords
from dsched.config.structuring import FlawedError, structure


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Shade(Enum):
    DARK = "dark"


@attrs.frozen(kw_only=True)
class Inner:
    span: timedelta = timedelta(0)
    size: int = attrs.field(default=1, validator=attrs.validators.ge(1))


@attrs.frozen(kw_only=True)
class Outer:
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    shade: Shade = Shade.DARK
    mode: Literal["fast", 3] = "fast"
    either: int | str = 1
    maybe: timedelta | None = None
    pair: tuple[int, str] = (1, "a")
    many: tuple[Inner, ...] = ()
    names: frozenset[str] = frozenset()
    by_name: Mapping[str, Inner] = attrs.field(factory=dict)
    nested: dict[str, list[int]] = attrs.field(factory=dict)
    inner: "Inner" = attrs.field(factory=Inner)
    ratio: float = 1.0
    anything: Any = None
    api_token: str = attrs.field(default="", validator=attrs.validators.max_len(3))
    _hidden: int = 0


def test_all_kinds_of_types_are_filled() -> None:
    given = structure(
        Outer,
        {
            "colour": "red",
            "level": 1,
            "shade": "dark",
            "mode": 3,
            "either": "x",
            "maybe": "5s",
            "pair": [2, "b"],
            "many": [{"span": "1m"}],
            "names": ["a", "a"],
            "by_name": {"x": {"size": 2}},
            "nested": {"k": [1, 2]},
            "inner": {"size": 3},
            "ratio": 2,
            "anything": {"free": [None]},
            "hidden": 4,
        },
    )
    assert given == Outer(
        mode=3,
        either="x",
        maybe=timedelta(seconds=5),
        pair=(2, "b"),
        many=(Inner(span=timedelta(minutes=1)),),
        names=frozenset({"a"}),
        by_name={"x": Inner(size=2)},
        nested={"k": [1, 2]},
        inner=Inner(size=3),
        ratio=2.0,
        anything={"free": [None]},
        hidden=4,
    )
    assert given.colour is Colour.RED
    assert given.level is Level.LOW


BAD: dict[str, tuple[object, tuple[Any, ...], str]] = {
    "colour": ("blue", (), "must be one of red; got text ('blue')"),
    "level": (2, (), "must be one of 1; got a number (2)"),
    "shade": (None, (), "must be one of dark; got nothing"),
    "mode": (True, (), "must be one of fast, 3; got true or false (True)"),
    "maybe": (5, (), "5 has no unit; add a unit, such as 5s or 5ms"),
    "pair": ([1], (), "must be a list of 2, got 1"),
    "many": ([{}, {"size": 0}], (1, "size"), "must be >= 1: 0"),
    "names": ("abc", (), "must be a list, got text ('abc')"),
    "by_name": ({"x": {"sise": 2}}, ("x", "sise"), "is not a known key; did you mean 'size'?"),
    "nested": ({"k": [1, "x"]}, ("k", 1), "must be a whole number, got text ('x')"),
    "inner": ([], (), "must be a mapping of keys to values, got a list"),
    "ratio": ("1.5", (), "must be a number, got text ('1.5')"),
    "api_token": ("canary", (), "is wrong (its value is not shown)"),
}


@pytest.mark.parametrize("key", BAD)
def test_what_does_not_fit_is_a_flaw_at_its_place(key: str) -> None:
    value, below, reason = BAD[key]
    with pytest.raises(FlawedError) as caught:
        structure(Outer, {key: value})
    (flaw,) = caught.value.flaws
    assert (flaw.place, flaw.reason) == ((key, *below), reason)


def test_all_flaws_come_together() -> None:
    raw = {key: value for key, (value, _, _) in BAD.items()}
    with pytest.raises(FlawedError) as caught:
        structure(Outer, raw)
    assert {flaw.place[0] for flaw in caught.value.flaws} == set(BAD)


def test_a_class_that_quotes_a_secret_is_not_repeated() -> None:
    @attrs.frozen
    class Leaky:
        password: str

        def __attrs_post_init__(self) -> None:
            raise ValueError(f"cannot log in with {self.password}")

    with pytest.raises(FlawedError) as caught:
        structure(Leaky, {"password": "canary"})
    (flaw,) = caught.value.flaws
    assert flaw.reason == "is refused (the reason quotes a secret)"


def test_a_length_that_is_refused_is_at_its_field() -> None:
    @attrs.frozen
    class Short:
        name: str = attrs.field(validator=attrs.validators.max_len(3))

    with pytest.raises(FlawedError) as caught:
        structure(Short, {"name": "long"})
    (flaw,) = caught.value.flaws
    assert (flaw.place, flaw.reason) == (("name",), "length must be <= 3: 4")


def test_of_very_many_wrong_items_the_first_are_listed() -> None:
    with pytest.raises(FlawedError) as refused:
        structure(Outer, {"many": ["no"] * 50_000})
    flaws = [one for one in refused.value.flaws if one.place[:1] == ("many",)]
    assert [one.place[1:] for one in flaws] == [*((number,) for number in range(20)), ()]
    assert flaws[-1].reason == "is not read beyond the first 20 problems"


def test_of_very_many_unknown_keys_the_first_are_listed_at_once() -> None:
    start = time.process_time()
    with pytest.raises(FlawedError) as caught:
        structure(Outer, {f"key{i}": 1 for i in range(100_000)})
    assert time.process_time() - start < 1
    assert len(caught.value.flaws) == 21
    assert caught.value.flaws[-1].reason == "has 99980 more keys that are not known"


@pytest.mark.parametrize(
    "name",
    ["password", "redis_password", "api-key", "token", "ADMIN_TOKEN", "secrets", "private_key"],
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["path", "key_prefix", "token_ttl", "password_file", "passwords2"])
def test_other_names_are_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("redis://:pw@h/0", "redis://********@h/0"),
        (
            "see redis://u:p@ss@h:1/0 and http://h/x@y",
            "see redis://********@h:1/0 and http://h/x@y",
        ),
        ("nobody@example.com", "nobody@example.com"),
    ],
)
def test_the_user_part_of_a_url_is_blacked_out(text: str, safe: str) -> None:
    assert without_passwords(text) == safe


def test_a_value_is_quoted_short_and_printable() -> None:
    start = time.process_time()
    assert shown("x" * 1_000_000) == f"'{'x' * 60}...'"
    assert shown("a\x1b]52;\n") == "'a\\x1b]52;\\n'"
    assert tidy("a:" * 500_000).endswith("...")
    assert time.process_time() - start < 0.5
