"""Which place has its turn: fair for any series of turns, such as every second or third."""

_WORD = (1 << 64) - 1
_ROOT_2 = 0x6A09E667F3BCC908  # the fractional part of the square root of 2, times 2**64


def rotate(turn: int, places: int) -> int:
    """A place in ``range(places)`` for the turn.

    Each round of ``places`` turns (counted from a multiple of it) visits every place once, in
    order, and starts at a place of its own. That is why ``turn % places`` would not do: tasks of
    one label often get every second or third turn only, and would meet the same few places for
    ever. The start moves by the root of 2, whose multiples are spread evenly, as is every second,
    third... of them (H. Weyl, "Über die Gleichverteilung von Zahlen mod. Eins", 1916). The golden
    ratio would do as well in the end, but is slower to even out for strides of 13 or 21.
    """
    round_number, step = divmod(turn, places)
    start = (round_number * _ROOT_2 & _WORD) * places >> 64
    return (start + step) % places
