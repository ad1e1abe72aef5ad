"""How long the leader's looks are on their way to the store."""

AHEAD_SHARE = 1 / 3
AHEAD_AT_MOST_S = 0.0003
FORGET = 1.1


class RoundTrip:
    """How long a look takes, there and back, when it is quick.

    The instant that a look is for should find it with the store, not on its way there. But one that
    comes before its instant is in vain, so the quickest of late counts, and a third of that.
    """

    def __init__(self) -> None:
        self._quickest_s = 0.0

    def took(self, seconds: float) -> None:
        """A look was answered after this long."""
        quickest_s = FORGET * self._quickest_s
        self._quickest_s = min(seconds, quickest_s) if quickest_s else seconds

    @property
    def ahead_s(self) -> float:
        """How much before its instant a look is to be sent."""
        return min(AHEAD_AT_MOST_S, AHEAD_SHARE * self._quickest_s)
