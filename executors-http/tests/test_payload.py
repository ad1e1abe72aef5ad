"""Judging a payload before anything runs: all problems at once, each naming its key."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched_executor_http.headers import header_problems
from dsched_executor_http.payload import check_payload, read_payload

URL = "https://example.com/"

GOOD: list[dict[str, Any]] = [
    {"url": URL},
    {"url": URL, "method": "delete"},
    {"url": URL, "headers": {"X-A": "", "X-B": "a b"}},
    {"url": URL, "query": {"a": [1, "b", True, 1.5], "c": []}},
    {"url": URL, "json": None, "body": "x"},
    {"url": URL, "json": [{"deep": ["secret://env/A", "secret://file/b.c"]}]},
    {"url": URL, "expected_status": [200, "201", "400-499"]},
    {"url": URL, "follow_redirects": True, "tls": {"verify": False, "server_name": "a.b"}},
    {"url": URL, "tls": {"ca_file": "ca.pem", "cert_file": "c.pem", "key_file": "c.key"}},
    {"url": "http://a/", "follow_redirects": True, "tls": {"verify": True}},
]
BAD: list[tuple[Any, str]] = [
    (None, "payload: must map"),
    ([], "payload: must map"),
    ("https://example.com", "payload: must map"),
    ({}, "url: is required"),
    ({"url": 5}, "url: is required"),
    ({"url": "ftp://x/"}, "url: has the scheme 'ftp'"),
    ({"url": "http://u:p@x/"}, "url: carries a user name"),
    ({"url": URL, "metod": "GET"}, "metod: is not a known key; did you mean 'method'?"),
    ({"url": URL, "header": {}}, "header: is not a known key; did you mean 'headers'?"),
    ({"url": URL, "zzz": 1}, "zzz: is not a known key; there is body, callback, expected_status"),
    ({"url": URL, "method": "TRACE"}, "method: must be one of GET"),
    ({"url": URL, "method": "CONNECT"}, "method: must be one of GET"),
    ({"url": URL, "method": "GET /x HTTP/1.1\r\n"}, "method: must be one of GET"),
    ({"url": URL, "method": 1}, "method: must be one of GET"),
    ({"url": URL, "method": "HEAD", "body": "x"}, "method: HEAD sends no body"),
    ({"url": URL, "json": 1, "body": "x"}, "body: give json or body, not both"),
    ({"url": URL, "body": {"a": 1}}, "body: must be text"),
    ({"url": URL, "body": "\ud800"}, "body: contains half a character"),
    ({"url": URL, "query": "a=1"}, "query: must map"),
    ({"url": URL, "query": {"a": None}}, "query.a: must be text"),
    ({"url": URL, "query": {"a": {"b": 1}}}, "query.a: must be text"),
    ({"url": URL, "query": {"a": "\ud800"}}, "query: contains half a character"),
    ({"url": URL, "query": {"a": ["x"] * 201}}, "query: at most 200"),
    ({"url": URL, "query": {"a": "x" * 9000}}, "url: is longer than"),
    ({"url": URL, "query": {"a": "secret://env/A"}}, "query: cannot hold a secret"),
    ({"url": URL + "secret://env/A"}, "url: cannot hold a secret"),
    ({"url": URL, "headers": ["a"]}, "headers: must map"),
    ({"url": URL, "headers": {"X-A": 1}}, "headers.X-A: must be text"),
    ({"url": URL, "headers": {"a": "1", "A": "2"}}, "headers.A: is given twice"),
    ({"url": URL, "headers": {f"a{n}": "" for n in range(65)}}, "headers: at most 64"),
    ({"url": URL, "headers": {"a": "x" * 9000}}, "headers.a: is longer"),
    ({"url": URL, "headers": {"A": "secret://vault/x"}}, "headers: has a secret reference"),
    ({"url": URL, "json": {"a": ["secret://file/../x"]}}, "json: has a secret reference"),
    ({"url": URL, "json": {"a": ["secret://file//etc/passwd"]}}, "json: has a secret reference"),
    ({"url": URL, "body": "secret://env/9A"}, "body: has a secret reference"),
    ({"url": URL, "body": "secret://"}, "body: has a secret reference"),
    ({"url": URL, "expected_status": 99}, "expected_status: must be"),
    ({"url": URL, "expected_status": 600}, "expected_status: must be"),
    ({"url": URL, "expected_status": "299-200"}, "expected_status: must be"),
    ({"url": URL, "expected_status": "2xx"}, "expected_status: must be"),
    ({"url": URL, "expected_status": True}, "expected_status: must be"),
    ({"url": URL, "expected_status": []}, "expected_status: must be"),
    ({"url": URL, "expected_status": [200] * 101}, "expected_status: must be"),
    ({"url": URL, "expected_status": "²00"}, "expected_status: must be"),
    ({"url": URL, "follow_redirects": 3}, "follow_redirects: must be true or false"),
    ({"url": URL, "tls": True}, "tls: must map"),
    (
        {"url": URL, "tls": {"verfy": False}},
        "tls.verfy: is not a known key; did you mean 'verify'?",
    ),
    ({"url": URL, "tls": {"verify": "no"}}, "tls.verify: must be true or false"),
    ({"url": URL, "tls": {"ca_file": "/etc/passwd"}}, "tls.ca_file: must be the name"),
    ({"url": URL, "tls": {"ca_file": "../x"}}, "tls.ca_file: must be the name"),
    ({"url": URL, "tls": {"ca_file": ".."}}, "tls.ca_file: must be the name"),
    ({"url": URL, "tls": {"ca_file": "a\x00"}}, "tls.ca_file: must be the name"),
    ({"url": URL, "tls": {"key_file": "k"}}, "tls.key_file: needs tls.cert_file"),
    ({"url": URL, "tls": {"server_name": "a b"}}, "tls.server_name: must be"),
    ({"url": URL, "tls": {"server_name": "a/b"}}, "tls.server_name: must be"),
    ({"url": "http://a/", "tls": {"verify": True}}, "tls: means nothing for an http URL"),
]
BAD += [
    ({"url": URL, "headers": {name: "x"}}, f"headers.{name}: cannot be set")
    for name in (
        *("Host", "content-length", "Transfer-Encoding", "CONNECTION", "Keep-Alive", "TE"),
        *("Upgrade", "Expect", "Proxy-Authorization", "Accept-Encoding", "Trailer"),
        *("Idempotency-Key", "X-Dsched-Epoch", "x-dsched-anything", "Traceparent"),
    )
]


@pytest.mark.parametrize("payload", GOOD)
def test_a_good_payload_has_no_problems(payload) -> None:
    assert check_payload(payload) == []


@pytest.mark.parametrize(("payload", "problem"), BAD, ids=lambda value: str(value)[:60])
def test_a_bad_payload_is_named_by_its_key(payload, problem) -> None:
    problems = check_payload(payload)

    assert [found for found in problems if found.startswith(problem)], problems


def test_all_problems_are_told_at_once() -> None:
    problems = check_payload({"metod": "GET", "url": "x", "query": 5, "tls": {"a": 1}})

    assert {problem.split(":")[0] for problem in problems} == {"metod", "url", "query", "tls.a"}


@pytest.mark.parametrize(
    ("payload", "method"),
    [({}, "GET"), ({"json": {}}, "POST"), ({"body": ""}, "POST"), ({"json": None}, "GET")],
)
def test_the_method_defaults_by_whether_there_is_a_body(payload, method) -> None:
    assert read_payload({"url": URL, **payload}).method == method


@given(st.text(max_size=30), st.text(max_size=60))
def test_no_header_that_is_let_through_can_end_its_line(name: str, value: str) -> None:
    if header_problems({name: value}):
        return
    assert re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)
    assert all(char == "\t" or 0x20 <= ord(char) < 0x7F for char in value)
    assert name.lower() not in {"host", "content-length", "transfer-encoding", "connection"}


@given(
    st.text("abcXYZ-09_ :\t", max_size=8),
    st.text("ab :", max_size=8),
    st.sampled_from("\r\n\x00\x0b\x0c\x85\u2028\x7f\x1b"),
    st.booleans(),
)
def test_a_line_break_anywhere_in_a_header_is_refused(
    before: str, after: str, bad: str, in_name: bool
) -> None:
    text = before + bad + after
    problems = header_problems({text: "x"} if in_name else {"X-A": text})

    assert problems
    assert all(problem.isprintable() for problem in problems)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=10,
)
keys = st.sampled_from(
    ["url", "method", "headers", "query", "json", "body", "expected_status", "tls"]
)


@given(json_values | st.dictionaries(keys, json_values))
def test_no_json_breaks_the_check(payload: Any) -> None:
    assert all(isinstance(problem, str) for problem in check_payload(payload))
