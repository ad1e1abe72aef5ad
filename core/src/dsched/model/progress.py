"""How fast an attempt gets on, and how long it will take: a pure, smoothed estimate."""

import math

import attrs

# What the progress of an attempt says that waits for something else than itself.
WAITS, WAITS_FOR_CALLBACK = "waits_for", "callback"

# Half of the estimate's weight lies on the last seven seconds or so (10 s x ln 2).
SMOOTHING_S = 10.0


@attrs.frozen(kw_only=True)
class Pace:
    """What is known of an attempt's speed from its progress so far.

    ``gained`` (units of work) over ``spent_s`` is the rate; both fade with the time that passes,
    so that old progress counts little. It is a ratio of two sums, so the number of calls does not
    matter: two calls a microsecond apart weigh a microsecond.
    """

    at_s: float
    done: float
    gained: float = 0.0
    spent_s: float = 0.0

    @property
    def rate_per_s(self) -> float | None:
        """Units of work a second; None as long as nothing can be said."""
        if self.spent_s <= 0:
            return None
        rate = self.gained / self.spent_s
        return rate if math.isfinite(rate) else None

    def eta_s(self, total: float) -> float | None:
        """Seconds until ``total`` is done, counted from the last progress; None if unknown."""
        if self.done >= total:
            return 0.0
        rate = self.rate_per_s
        if not rate:
            return None
        left_s = (total - self.done) / rate
        return left_s if math.isfinite(left_s) else None


def paced(before: Pace | None, done: float, at_s: float) -> Pace:
    """The pace after one more progress, at ``at_s`` on a monotonic clock.

    The first one is where counting begins: an attempt may go on where another one stopped. So is
    one that is behind the last: the work began anew.
    """
    if before is None or not before.done <= done or at_s < before.at_s:
        return Pace(at_s=at_s, done=done)
    passed_s, gained = at_s - before.at_s, done - before.done
    left = math.exp(-passed_s / SMOOTHING_S)
    return Pace(
        at_s=at_s,
        done=done,
        gained=before.gained * left + gained,
        spent_s=before.spent_s * left + passed_s,
    )


def rounded(value: float) -> float:
    """Round to four significant digits: no reader needs more of an estimate."""
    shown = float(f"{value:.4g}")
    return shown if math.isfinite(shown) else value  # the largest of all would be rounded up
