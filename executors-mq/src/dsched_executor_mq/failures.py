"""What each kind of failed delivery means for the attempt."""

from dsched.contracts import TaskFailed

# Consumers are told the same idempotency key by every attempt, so that a repeat is harmless.
_REPEAT = "a retry may deliver it twice, with the same Idempotency-Key"


def bad_payload(message: str) -> TaskFailed:
    """A payload that cannot be published, or does not fit the broker that it names."""
    return TaskFailed(message, "payload", retryable=False)


def no_client(message: str) -> TaskFailed:
    """The client library of this kind of broker is not installed."""
    return TaskFailed(message, "client", retryable=False)


def no_connection(message: str) -> TaskFailed:
    """Nothing was sent: the broker could not be reached."""
    return TaskFailed(message, "connect")


def refused(message: str) -> TaskFailed:
    """The address must not be connected to."""
    return TaskFailed(message, "refused", retryable=False)


def bad_tls(message: str, *, passing: bool = False) -> TaskFailed:
    """A certificate or TLS file that is not accepted."""
    return TaskFailed(message, "tls", retryable=passing)


def bad_login(message: str) -> TaskFailed:
    """The broker does not take the credentials of the settings."""
    return TaskFailed(message, "auth", retryable=False)


def forbidden(message: str) -> TaskFailed:
    """This target is not for these tasks, or not for the broker's user."""
    return TaskFailed(message, "forbidden", retryable=False)


def unroutable(message: str) -> TaskFailed:
    """No consumer would get the message: there is no such target, or nothing is bound to it
    (yet)."""
    return TaskFailed(message, "unroutable")


def too_large(message: str) -> TaskFailed:
    """The message, or the answer, is larger than is taken."""
    return TaskFailed(message, "too_large", retryable=False)


def rejected(message: str) -> TaskFailed:
    """The broker has said that it did not keep the message."""
    return TaskFailed(message, "rejected")


def unconfirmed(message: str) -> TaskFailed:
    """The message was sent and never confirmed: nobody knows whether the broker has it."""
    return TaskFailed(
        f"{message}: whether the broker has it is not known; {_REPEAT}", "unconfirmed"
    )


def no_reply(message: str) -> TaskFailed:
    """The message was confirmed, and its answer did not come."""
    return TaskFailed(f"{message}: it may still be worked on; {_REPEAT}", "no_reply")


def no_replies(message: str) -> TaskFailed:
    """Answers cannot be had from this broker as it is set up."""
    return TaskFailed(message, "payload", retryable=False)
