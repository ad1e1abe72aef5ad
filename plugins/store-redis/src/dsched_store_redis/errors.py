"""The one place that says what an error of the server or the network means for a step."""

import re
from enum import Enum

from dsched.contracts.store.outcomes import (
    StoreEmptiedError,
    StoreError,
    StoreReadOnlyError,
    StoreRefusedError,
    StoreUnavailableError,
)


class Verdict(Enum):
    """What a failed exchange means. All but ``LOST``, and ``DENIED`` within a script, are certain:
    the step has not run."""

    RELOAD = "the server does not know the script: send its text"
    RESEND = "not now: send it again in a moment"
    RELOCATE = "not here: find the primary and send it there"
    UNREACHABLE = "no connection was made"
    FULL = "the server takes no writes"
    GONE = (
        "nothing is there any more of the store: it was emptied, or another server is in its place"
    )
    DENIED = "not to this user as it is: somebody may mend that under way"
    REFUSED = "it must not or cannot work like this: waiting does not help"
    LOST = "it was sent and not answered: it may have run"


# The first word of an error reply.
_BY_CODE = {
    "NOSCRIPT": Verdict.RELOAD,
    "LOADING": Verdict.RESEND,
    "TRYAGAIN": Verdict.RESEND,
    # One key of a step has moved with its slot, or all have: until the last has, no node runs it.
    "ASK": Verdict.RESEND,
    # This node says so. It may be cut off, and another node may have the slot by now.
    "CLUSTERDOWN": Verdict.RELOCATE,
    "NOREPLICAS": Verdict.RELOCATE,
    "MASTERDOWN": Verdict.RELOCATE,
    "BUSY": Verdict.RESEND,
    "READONLY": Verdict.RELOCATE,
    "MOVED": Verdict.RELOCATE,
    "UNBLOCKED": Verdict.RELOCATE,
    "OOM": Verdict.FULL,
    "MISCONF": Verdict.FULL,
    "NOAUTH": Verdict.DENIED,
    "WRONGPASS": Verdict.DENIED,
    "NOPERM": Verdict.DENIED,
    # Protected mode: the password was removed, or the server was put on a network.
    "DENIED": Verdict.DENIED,
    "WRONGTYPE": Verdict.REFUSED,
    "CROSSSLOT": Verdict.REFUSED,
    "DSCHEDFORMAT": Verdict.REFUSED,
    "DSCHEDGONE": Verdict.GONE,
}

# The server answers, and would answer a read, but it takes no writes.
_NO_WRITES = {
    "OOM": "memory",
    "MISCONF": "disk",
    "READONLY": "read_only",
    "NOREPLICAS": "replicas",
}

# redis-py turns some replies into classes of its own and drops the first word.
_BY_CLASS = {
    "NoScriptError": "NOSCRIPT",
    "BusyLoadingError": "LOADING",
    "TryAgainError": "TRYAGAIN",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "ReadOnlyError": "READONLY",
    "MovedError": "MOVED",
    "AskError": "ASK",
    "OutOfMemoryError": "OOM",
    "AuthenticationError": "WRONGPASS",
    "AuthenticationWrongNumberOfArgsError": "WRONGPASS",
    "AuthorizationError": "NOPERM",
    "NoPermissionError": "NOPERM",
    "ClusterCrossSlotError": "CROSSSLOT",
}

# Before 7.0 an error inside a script is wrapped into text, and some have no first word.
_WRAPPED = re.compile(r"Error running script .*?: ?-?([A-Z]{2,})\b")
_WITHIN_A_SCRIPT = ("The user executing the script can't", "ACL failure in script")
_BY_TEXT = (
    ("max number of clients reached", "TRYAGAIN"),
    *((part, "NOPERM") for part in _WITHIN_A_SCRIPT),
    ("called without any password configured", "WRONGPASS"),
)

_ADVICE = {
    "ASK": "its slot is being moved to another node: what waits goes on when that is done",
    "OOM": "it has reached maxmemory: give it more, or remove what is not needed",
    "MISCONF": "it cannot save to its disk: make room there, then it takes writes again",
    "READONLY": "it is a replica: a failover is under way, or redis.addr names the wrong server",
    "NOREPLICAS": "fewer replicas follow it than its min-replicas-to-write: bring them back",
    "NOAUTH": "it wants a password: set redis.password",
    "WRONGPASS": "the user name or password is wrong: correct redis.username and redis.password",
    "NOPERM": "its user lacks a permission: grant what the example ACL file of this plugin lists",
    "WRONGTYPE": "a key under redis.key_prefix has another type than dsched's: use another prefix",
    "CROSSSLOT": "the keys lie in several slots: give redis.key_prefix a hash tag, as in {prod}:",
    "DSCHEDFORMAT": "the store was given a format that this version does not know while it ran: "
    "start the pod with the version that migrated it, or a newer one",
    "DSCHEDGONE": "the store was emptied while this process worked on it, or another server took "
    "its place: nothing is written, lest it comes back empty; put a backup in place, or, to begin "
    "anew with an empty store, stop every pod and start them",
}


def code_of(error: BaseException) -> str:
    """The first word of the server's reply, whatever redis-py made of it; "" if it is none."""
    for cls in type(error).__mro__:
        if cls.__name__ in _BY_CLASS:
            return _BY_CLASS[cls.__name__]
    text = str(error)
    wrapped = _WRAPPED.search(text)
    if wrapped:
        return wrapped.group(1)
    for part, code in _BY_TEXT:
        if part in text:
            return code
    first = text.partition(" ")[0]
    return first if first.isupper() and first.isalpha() else ""


def is_reply(error: BaseException) -> bool:
    """Whether the server answered with an error, so that the connection is still in step."""
    return any(cls.__name__ == "ResponseError" for cls in type(error).__mro__)


def judge(error: BaseException, *, sent: bool) -> Verdict:
    """What a failed exchange means; ``sent``: whether any byte of the step had left."""
    verdict = _BY_CODE.get(code_of(error))
    if verdict is not None:
        return verdict
    if is_reply(error):
        return Verdict.REFUSED
    return Verdict.LOST if sent else Verdict.UNREACHABLE


def to_raise(
    error: BaseException, verdict: Verdict, where: str, *, starting: bool = False
) -> StoreError:
    """The exception for the caller, naming the server, the reason and what to do.

    ``starting``: no step has worked yet, so refused credentials are wrong rather than outdated.
    """
    code = code_of(error)
    text = f"Redis at {where}: {str(error) or type(error).__name__}"
    if code in _ADVICE:
        text = f"{text}; {_ADVICE[code]}"
    if verdict is Verdict.REFUSED or (verdict is Verdict.DENIED and starting):
        return StoreRefusedError(text)
    if verdict is Verdict.GONE:
        return StoreEmptiedError(text, maybe_applied=False)
    if code in _NO_WRITES:
        return StoreReadOnlyError(text, maybe_applied=False, reason=_NO_WRITES[code])
    # A script is not rolled back: its writes before the command that it may not run remain.
    within = verdict is Verdict.DENIED and any(part in text for part in _WITHIN_A_SCRIPT)
    return StoreUnavailableError(text, maybe_applied=verdict is Verdict.LOST or within)
