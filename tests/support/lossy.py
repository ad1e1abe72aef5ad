"""A TCP proxy that lets requests through and swallows some answers, cutting the connection."""

import random

from chaos.line import Line


class LossyProxy(Line):
    """In front of a server on loopback. ``loss`` is the share of answers that never arrive.

    The request of a swallowed answer has been carried out: its sender cannot know that.
    """

    def __init__(self, port: int, chance: random.Random) -> None:
        super().__init__(port)
        self.loss = 0.0
        self.swallowed = 0
        self._chance = chance

    def _loses(self, *, answer: bool) -> bool:
        if not answer or self._chance.random() >= self.loss:
            return False
        self.swallowed += 1
        return True
