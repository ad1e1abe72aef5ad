"""One classifier decides what an error means for a step: a table of real servers' errors."""

import pytest
from redis._parsers.base import BaseParser

from dsched.contracts.store.outcomes import (
    StoreReadOnlyError,
    StoreRefusedError,
    StoreUnavailableError,
)
from dsched_store_redis.errors import Verdict, code_of, judge, to_raise

REPLIES = [
    ("NOSCRIPT No matching script. Please use EVAL.", Verdict.RELOAD),
    ("LOADING Redis is loading the dataset in memory", Verdict.RESEND),
    ("TRYAGAIN Multiple keys request during rehashing of slot", Verdict.RESEND),
    ("ASK 3999 127.0.0.1:6381", Verdict.RESEND),
    ("BUSY Redis is busy running a script.", Verdict.RESEND),
    ("ERR max number of clients reached", Verdict.RESEND),
    ("MASTERDOWN Link with MASTER is down", Verdict.RELOCATE),
    ("READONLY You can't write against a read only replica.", Verdict.RELOCATE),
    ("MOVED 3999 127.0.0.1:6381", Verdict.RELOCATE),
    ("CLUSTERDOWN The cluster is down", Verdict.RELOCATE),
    ("NOREPLICAS Not enough good replicas to write.", Verdict.RELOCATE),
    ("UNBLOCKED force unblock from blocking operation", Verdict.RELOCATE),
    ("OOM command not allowed when used memory > 'maxmemory'.", Verdict.FULL),
    ("MISCONF Redis is configured to save RDB snapshots, but cannot persist", Verdict.FULL),
    ("NOAUTH Authentication required.", Verdict.DENIED),
    ("WRONGPASS invalid username-password pair or user is disabled.", Verdict.DENIED),
    ("NOPERM this user has no permissions to run the 'evalsha' command", Verdict.DENIED),
    ("DENIED Redis is running in protected mode because", Verdict.DENIED),
    (
        (
            "ERR AUTH <password> called without any password configured for the default user. "
            "Are you sure your configuration is correct?"
        ),
        Verdict.DENIED,
    ),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", Verdict.REFUSED),
    ("CROSSSLOT Keys in request don't hash to the same slot", Verdict.REFUSED),
    ("DSCHEDFORMAT 77", Verdict.REFUSED),
    ("DSCHEDGONE the store is gone", Verdict.GONE),
    ("ERR unknown command 'EVALSHA'", Verdict.REFUSED),
    # Before 7.0 an error inside a script comes wrapped.
    (
        (
            "ERR Error running script (call to f_ab12): @user_script:40: @user_script: 40: "
            "-OOM command not allowed when used memory > 'maxmemory'."
        ),
        Verdict.FULL,
    ),
    (
        (
            "ERR Error running script (call to f_ab12): @user_script:40: @user_script: 40: The "
            "user executing the script can't run this command or subcommand"
        ),
        Verdict.DENIED,
    ),
    (
        "ERR Error running script (call to f_ab12): @user_script:40: WRONGTYPE Operation against",
        Verdict.REFUSED,
    ),
    (
        (
            "ERR Error running script (call to f_ab12): @user_script:40: @user_script: 40: "
            "-READONLY You can't write against a read only replica."
        ),
        Verdict.RELOCATE,
    ),
    # From 7.0 on it keeps its own word, with the place behind.
    (
        "OOM command not allowed when used memory > 'maxmemory'. script: ab, on @user_script:1.",
        Verdict.FULL,
    ),
]


@pytest.mark.parametrize(("reply", "verdict"), REPLIES, ids=[r[:28] for r, _ in REPLIES])
def test_each_error_reply_has_its_verdict_whatever_the_client_makes_of_it(
    reply: str, verdict: Verdict
) -> None:
    error = BaseParser.parse_error(reply)
    # redis-py drops the first word of some; the verdict must not depend on that.
    assert judge(error, sent=False) is verdict
    assert judge(error, sent=True) is verdict


@pytest.mark.parametrize(
    "error", [ConnectionResetError("reset"), TimeoutError(), EOFError("end"), BrokenPipeError()]
)
def test_a_broken_exchange_is_ambiguous_only_if_something_was_sent(error: Exception) -> None:
    assert judge(error, sent=True) is Verdict.LOST
    assert judge(error, sent=False) is Verdict.UNREACHABLE


@pytest.mark.parametrize(("verdict", "maybe"), [(v, v is Verdict.LOST) for v in Verdict])
def test_what_is_raised_says_whether_the_step_may_have_run(verdict: Verdict, maybe: bool) -> None:
    raised = to_raise(ConnectionError("gone"), verdict, "host:1")
    assert "host:1" in str(raised)
    assert isinstance(raised, StoreRefusedError) is (verdict is Verdict.REFUSED)
    if isinstance(raised, StoreUnavailableError):
        assert raised.maybe_applied is maybe


@pytest.mark.parametrize("code", ["OOM", "MISCONF", "READONLY", "NOREPLICAS"])
def test_a_server_that_takes_no_writes_is_told_from_one_that_does_not_answer(code: str) -> None:
    error = BaseParser.parse_error(f"{code} in its own words")
    raised = to_raise(error, judge(error, sent=True), "host:1")
    assert isinstance(raised, StoreReadOnlyError)
    assert "in its own words" in str(raised)
    assert not isinstance(to_raise(ConnectionError("x"), Verdict.LOST, "h:1"), StoreReadOnlyError)


@pytest.mark.parametrize("code", ["NOAUTH", "WRONGPASS", "NOPERM", "DENIED"])
def test_what_is_refused_to_the_user_ends_the_start_and_is_tried_again_later(code: str) -> None:
    error = BaseParser.parse_error(f"{code} in its own words")
    verdict = judge(error, sent=False)
    assert isinstance(to_raise(error, verdict, "host:1", starting=True), StoreRefusedError)
    later = to_raise(error, verdict, "host:1")
    assert isinstance(later, StoreUnavailableError)
    assert not later.maybe_applied


def test_a_refusal_says_what_to_do() -> None:
    error = BaseParser.parse_error("NOPERM this user has no permissions")
    assert "grant what" in str(to_raise(error, judge(error, sent=True), "host:1"))
    error = BaseParser.parse_error("OOM command not allowed")
    assert "maxmemory" in str(to_raise(error, judge(error, sent=True), "host:1"))


def test_a_text_without_a_code_has_none() -> None:
    assert code_of(ValueError("no such thing")) == ""
