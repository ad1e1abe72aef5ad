"""How long the leader's polls are on their way to the store."""

AHEAD_SHARE = 1 / 3
AHEAD_AT_MOST_S = 0.0003
FORGET = 1.1


class RoundTrip:
    """How long a poll takes, there and back, when it is quick.

    A poll for an instant should reach the store at that instant, not be on its way then. But one
    that arrives before is in vain. So it is sent early by a third of the quickest recent round
    trip.
    """

    def __init__(self) -> None:
        self._quickest_s = 0.0

    def took(self, seconds: float) -> None:
        """A poll was answered after this long."""
        quickest_s = FORGET * self._quickest_s
        self._quickest_s = min(seconds, quickest_s) if quickest_s else seconds

    @property
    def ahead_s(self) -> float:
        """How much before its instant a poll is to be sent."""
        return min(AHEAD_AT_MOST_S, AHEAD_SHARE * self._quickest_s)
