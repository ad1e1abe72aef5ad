"""The timeout and retry policy of a task whose author left them out.

The type, not equality, tells whether a value was left out: see `left_out`.
"""

from datetime import timedelta
from typing import TypeVar

import attrs

from dsched.model.left_out import is_left_out
from dsched.model.retry import RetryPolicy
from dsched.model.task_config import TaskConfig, TaskSpec

I = TypeVar("I", TaskSpec, TaskConfig)  # noqa: E741 - an item

_RETRY_FIELDS = tuple(field.name for field in attrs.fields(RetryPolicy))


def given_fields(policy: RetryPolicy) -> tuple[str, ...]:
    """The names of the fields that were given when the policy was made."""
    return tuple(name for name in _RETRY_FIELDS if not is_left_out(getattr(policy, name)))


def given_retry(policy: RetryPolicy) -> RetryPolicy:
    """An equal policy of which nothing counts as left out."""
    return RetryPolicy(
        max_retries=int(policy.max_retries),
        retry_delay=_given_span(policy.retry_delay),
        backoff_rate=float(policy.backoff_rate),
        max_delay=_given_span(policy.max_delay),
        jitter=float(policy.jitter),
    )


@attrs.frozen(kw_only=True)
class TaskDefaults:
    """Timeout and retry of a task that does not say them. ``retry`` says all of its fields."""

    timeout: timedelta = timedelta(minutes=5)
    retry: RetryPolicy = attrs.field(factory=lambda: given_retry(RetryPolicy()))

    def fill(self, item: I) -> I:
        """The same with what was left out; a policy that was given in part is completed."""
        timeout = self.timeout if is_left_out(item.timeout) else item.timeout
        retry = self.fill_retry(item.retry)
        if timeout == item.timeout and retry == item.retry:
            return item  # as most are
        return attrs.evolve(item, timeout=timeout, retry=retry)

    def fill_retry(self, policy: RetryPolicy) -> RetryPolicy:
        """The policy with what was left out of it."""
        given = given_fields(policy)
        if not given:
            return self.retry
        if len(given) == len(_RETRY_FIELDS):
            return policy
        return attrs.evolve(self.retry, **{name: getattr(policy, name) for name in given})


def _given_span(span: timedelta) -> timedelta:
    return timedelta(days=span.days, seconds=span.seconds, microseconds=span.microseconds)


# What is read from a store has these where nothing is written: it was filled when it was written.
GIVEN_TIMEOUT = TaskDefaults().timeout
GIVEN_RETRY = given_retry(RetryPolicy())
