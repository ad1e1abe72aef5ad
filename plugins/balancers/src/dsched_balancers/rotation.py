"""Whose turn it is: a fair place for each turn, whatever the turns in between were used for."""

_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # the fractional part of the golden ratio, times 2**64


def rotate(turn: int, places: int) -> int:
    """A place in ``range(places)`` for the turn.

    Each round of ``places`` turns (counted from a multiple of it) visits every place once, in
    order, and starts at a place of its own. That is why ``turn % places`` would not do: tasks of
    one label often get every second or third turn only, and would meet the same few places for
    ever. The start moves by the golden ratio, whose multiples are spread evenly, and so are those
    of every second, third... of them (H. Weyl, "Über die Gleichverteilung von Zahlen mod. Eins",
    1916).
    """
    round_number, step = divmod(turn, places)
    start = (round_number * _GOLDEN & _WORD) * places >> 64
    return (start + step) % places
