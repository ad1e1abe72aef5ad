"""What a task gets where whoever made it has left timeout or retry out.

What was left out is told from an equal value that was given by identity: a field that was left out
holds the very object that its class has for a default.
"""

from datetime import timedelta
from typing import Any, TypeVar

import attrs

from dsched.model.retry import RetryPolicy
from dsched.model.task_config import TaskConfig, TaskSpec

I = TypeVar("I", TaskSpec, TaskConfig)  # noqa: E741 - an item

_RETRY_FIELDS = tuple(field.name for field in attrs.fields(RetryPolicy))


def is_left_out(item: Any, name: str) -> bool:
    """Whether a field of an attrs value was left out when the value was made."""
    default = getattr(attrs.fields(type(item)), name).default
    return getattr(item, name) is default


@attrs.frozen(kw_only=True)
class TaskDefaults:
    """Timeout and retry of a task that does not say them. ``retry`` says all of its fields."""

    timeout: timedelta = timedelta(minutes=5)
    retry: RetryPolicy = attrs.field(factory=lambda: given_retry(RetryPolicy()))

    def fill(self, item: I) -> I:
        """The same with what was left out; a policy that was given in part is completed."""
        timeout = self.timeout if is_left_out(item, "timeout") else item.timeout
        retry = self.fill_retry(item.retry)
        if timeout == item.timeout and retry == item.retry:
            return item  # as most are
        return attrs.evolve(item, timeout=timeout, retry=retry)

    def fill_retry(self, policy: RetryPolicy) -> RetryPolicy:
        """The policy with what was left out of it."""
        left = [name for name in _RETRY_FIELDS if is_left_out(policy, name)]
        return attrs.evolve(policy, **{name: getattr(self.retry, name) for name in left})


def _again(span: timedelta) -> timedelta:
    return timedelta(days=span.days, seconds=span.seconds, microseconds=span.microseconds)


def given_retry(policy: RetryPolicy) -> RetryPolicy:
    """An equal policy of which nothing counts as left out."""
    return RetryPolicy(
        max_retries=int(policy.max_retries),
        retry_delay=_again(policy.retry_delay),
        backoff_rate=policy.backoff_rate / 1,
        max_delay=_again(policy.max_delay),
        jitter=policy.jitter / 1,
    )


_GIVEN_TIMEOUT = timedelta(minutes=5)
_GIVEN_RETRY = given_retry(RetryPolicy())


def settle(item: I) -> I:
    """Let nothing count as left out of a value that was just read and that nobody else has yet: it
    was filled when it was written. Changes the value itself."""
    if is_left_out(item, "timeout"):
        object.__setattr__(item, "timeout", _GIVEN_TIMEOUT)
    if item.retry == _GIVEN_RETRY:
        object.__setattr__(item, "retry", _GIVEN_RETRY)
    else:
        object.__setattr__(item, "retry", given_retry(item.retry))
    return item
