"""Defaults that say by their type that nobody has written them.

They equal what they stand for, so that nothing but `is_left_out` tells them from a value that was
given. Arithmetic with one gives a plain value.
"""

from datetime import timedelta


class LeftOut:
    """What a field holds where whoever made the value has left it out."""

    __slots__ = ()


class LeftOutInt(LeftOut, int):
    """A whole number that was left out."""

    __slots__ = ()


class LeftOutFloat(LeftOut, float):
    """A number that was left out."""

    __slots__ = ()


class LeftOutSpan(LeftOut, timedelta):
    """A duration that was left out."""

    __slots__ = ()


def is_left_out(value: object) -> bool:
    """Whether a field with this value was left out when its object was made."""
    return isinstance(value, LeftOut)
