"""Secret references: what they are, which may be resolved, and how their values are kept secret."""

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.contracts.executor.secrets import (
    MAX_SECRET_BYTES,
    NOTHING_SECRET,
    REDACTED,
    Redactor,
    SecretError,
    Secrets,
    check_env_patterns,
    fill,
    fill_json,
    mentions_secret,
    reference_problem,
    references,
    texts_of,
)

CANARY = 'canary "7f3e"/ä&=\\x\n\'y'  # spelt differently by everybody

SPELLINGS = {
    "plain": str,
    "percent": quote,
    "percent, slashes too": lambda value: quote(value, safe=""),
    "form": quote_plus,
    "JSON": lambda value: json.dumps(value)[1:-1],
    "JSON in UTF-8": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "repr": lambda value: repr(value)[1:-1],
}


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("T_TOKEN", "token")
    monkeypatch.setenv("T_EMPTY", "")
    monkeypatch.setenv("ONLY", "this one")
    monkeypatch.setenv("ONLY_MORE", "not this one")
    monkeypatch.setenv("DSCHED_REDIS__PASSWORD", "the store's own")
    directory = tmp_path / "secrets"
    directory.mkdir()
    (directory / "api-key.txt").write_text(CANARY + "\r\n")
    (directory / "empty").write_text("\n")
    (directory / "binary").write_bytes(b"\xff\xfe\x00")
    (directory / "most").write_bytes(b"x" * MAX_SECRET_BYTES)
    (directory / "large").write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    (tmp_path / "outside").write_text("private")
    (directory / "leaves").symlink_to(tmp_path / "outside")
    return Secrets(section="executors.mine", env_patterns=("T_*", "ONLY"), directory=str(directory))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Bearer secret://env/T_TOKEN", ["secret://env/T_TOKEN"]),
        ("(secret://file/api-key.txt).", ["secret://file/api-key.txt"]),
        ("secret://env/A:secret://file/b", ["secret://env/A", "secret://file/b"]),
        ("secret://env/A-B", ["secret://env/A"]),
        ("nothing", []),
    ],
)
def test_references_are_found_where_they_stand(text, found):
    assert references(text) == found
    assert reference_problem(text) is None
    assert mentions_secret(text) is bool(found)


@pytest.mark.parametrize(
    "text",
    [
        *("secret://", "secret://vault/x", "secret://env/", "secret://env/1A", "secret://file/"),
        *("secret://file/../passwd", "secret://file//etc/passwd", "secret://file/.hidden"),
        "secret://env/A and secret://nowhere",
    ],
)
def test_a_reference_that_cannot_be_meant_is_a_problem(text):
    assert "neither secret://env/NAME nor secret://file/NAME" in (reference_problem(text) or "")
    assert mentions_secret(text)


def test_values_are_put_in_and_not_looked_into_again():
    values = {"secret://env/A": "secret://env/B", "secret://env/B": "b"}

    assert fill("secret://env/A.secret://env/B", values) == "secret://env/B.b"
    assert fill_json({"secret://env/A": ["x secret://env/B", 1, None]}, values) == {
        "secret://env/A": ["x b", 1, None]
    }


def test_the_texts_of_a_value_leave_out_its_keys():
    assert list(texts_of({"k": ["a", {"l": "b"}, 1, None], "m": ("c",)})) == ["a", "b", "c"]


async def test_references_lead_to_what_the_operator_allows(secrets):
    wanted = ["secret://env/T_TOKEN", "secret://env/ONLY", "secret://file/api-key.txt"]

    assert await secrets.resolve(wanted) == dict(
        zip(wanted, ["token", "this one", CANARY], strict=True)
    )
    assert len((await secrets.resolve(["secret://file/most"]))["secret://file/most"]) == (
        MAX_SECRET_BYTES
    )


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("secret://env/T_MISSING", "no such environment variable"),
        ("secret://env/DSCHED_REDIS__PASSWORD", r"to executors\.mine\.secret_env on the workers"),
        ("secret://env/ONLY_MORE", "add 'ONLY_MORE' to"),
        ("secret://env/T_EMPTY", "is empty"),
        ("secret://file/missing", r"no file 'missing' under executors\.mine\.secret_dir"),
        ("secret://file/leaves", r"lies outside of executors\.mine\.secret_dir"),
        ("secret://file/empty", "is empty"),
        ("secret://file/binary", "not UTF-8"),
        ("secret://file/large", "larger than 65536 bytes"),
        ("secret://file/" + "x" * 300, "cannot be read"),
    ],
)
async def test_a_reference_that_leads_nowhere_is_named_with_the_reason(secrets, reference, reason):
    with pytest.raises(SecretError, match=reason) as refused:
        await secrets.resolve(["secret://env/T_TOKEN", reference])

    assert reference in str(refused.value)
    assert not refused.value.passing


async def test_without_options_no_secret_can_be_had(monkeypatch):
    monkeypatch.setenv("HOME_TOKEN", "x")
    nothing = Secrets(section="executors.mine")

    with pytest.raises(SecretError, match=r"executors\.mine\.secret_env"):
        await nothing.resolve(["secret://env/HOME_TOKEN"])
    with pytest.raises(SecretError, match=r"set executors\.mine\.secret_dir"):
        await nothing.resolve(["secret://file/passwd"])


async def test_trouble_with_the_disk_is_passing(secrets, monkeypatch):
    def broken(path, mode):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pathlib.Path.open", broken)
    with pytest.raises(SecretError, match="Input/output error") as trouble:
        await secrets.resolve(["secret://file/api-key.txt"])

    assert trouble.value.passing


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_value_is_taken_out_in_every_spelling(spelling):
    assert Redactor([CANARY]).text(f"<{spelling(CANARY)}>") == f"<{REDACTED}>"


@given(st.text(min_size=1).filter(lambda value: value not in f"<{REDACTED}>"), st.data())
def test_no_value_is_left_in_whatever_it_is(value, data):
    try:
        written = data.draw(st.sampled_from(list(SPELLINGS.values())))(value)
    except UnicodeEncodeError:  # half a character has no percent-encoding
        return
    assert Redactor([value]).text(f"<{written}>") == f"<{REDACTED}>"


def test_a_value_that_contains_another_is_taken_out_whole():
    assert Redactor(["key", "key-and-more"]).text("key-and-more, key") == f"{REDACTED}, {REDACTED}"


def test_json_is_redacted_in_keys_texts_and_numbers():
    redactor = Redactor(["4711", "canary"])
    value = {"a canary": ["canary", ("x",), 4711, 47.0, True, None], "n": {"m": 14711.5}}

    assert redactor.json(value) == {
        f"a {REDACTED}": [REDACTED, ["x"], REDACTED, 47.0, True, None],
        "n": {"m": REDACTED},
    }


def test_where_nothing_is_secret_nothing_is_taken_out():
    value = {"a": ["b", 1]}

    assert NOTHING_SECRET.json(value) is value
    assert NOTHING_SECRET.text("text") == "text"
    assert NOTHING_SECRET.longest == 0


def test_the_longest_spelling_says_how_much_of_a_cut_text_may_be_secret():
    assert Redactor(["a/b", "c"]).longest == len("a%2Fb")


def test_names_and_prefixes_of_variables_are_accepted():
    check_env_patterns(["TOKEN", "_x1", "PREFIX_*"])


@pytest.mark.parametrize("pattern", ["", "*", "A-B", "A*B", "1A", "A\n", 7])
def test_any_other_pattern_of_variables_is_refused(pattern):
    with pytest.raises(ValueError, match=r"secret_env: .* write NAME or PREFIX_\*"):
        check_env_patterns(["TOKEN", pattern])
