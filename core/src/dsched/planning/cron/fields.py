"""The one class around croniter: from the text of a cron expression to a `CronPattern`.

croniter expands only the plain terms (values, ranges, steps, names). It gets other things wrong or
does not have them: it puts seconds last unless told, reads ``8-8`` as every minute and ``22-3``
as a wrap, spreads ``@daily`` when given a hash id, moves ``31W`` into short months, allows no ``W``
in a list and no ``LW``, and fires a daily job twice when clocks go back. So dsched matches dates
itself; that also gives exact counts and "the last one before" without walking, which croniter
lacks.
"""

import re
from collections.abc import Iterable

import attrs

from dsched.planning.cron.days import DayOfMonthRules, DayOfWeekRules, day_table
from dsched.planning.cron.hash import resolve_hash
from dsched.planning.cron.pattern import CronPattern
from dsched.planning.errors import InvalidTriggerError

MAX_EXPRESSION_LENGTH = 256
# The next instant is looked for this many calendar years ahead (29 February skips 2100).
HORIZON_YEARS = 8

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

_ALIASES = {
    "@HOURLY": "0 * * * *",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@WEEKLY": "0 0 * * 0",
    "@MONTHLY": "0 0 1 * *",
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
}

# As the end of a range Sunday is the last day of the week, whatever its first number is.
_SUNDAY_LAST = re.compile(r"-SUN(?=[,/]|$)")

_PLAIN = re.compile(
    r"(?P<low>\*|\d{1,2}|[A-Z]{3})(?:-(?P<high>\d{1,2}|[A-Z]{3}))?(?:/(?P<step>\d{1,2}))?"
)


@attrs.frozen
class _Field:
    """A field's place in the text, its bounds, and the names its values may have."""

    name: str
    low: int
    high: int
    names: dict[str, int] = attrs.field(factory=dict)

    def value(self, text: str) -> int:
        """The number of a value or name within the bounds."""
        number = self.names[text] if text in self.names else int(text) if text.isdigit() else -1
        if not self.low <= number <= self.high:
            raise _bad(self, text, f"values are {self.low} to {self.high}" + self._or_names())
        return number

    def _or_names(self) -> str:
        return f", or {next(iter(self.names))} and so on" if self.names else ""


_SECOND = _Field("second", 0, 59)
_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)})
_WEEKDAY = _Field("day of week", 0, 7, {name: number for number, name in enumerate(_WEEKDAYS)})
_FIELDS = (_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


@attrs.frozen
class CronExpression:
    """The text of a cron expression, split into six checked fields of terms.

    Five fields (minute, hour, day of month, month, day of week) or six with seconds first.
    Weekdays are numbered as in classic cron: 0 to 7, both 0 and 7 are Sunday; ``L``, ``LW``,
    ``15W``, ``L-3``, ``5L`` and ``MON#2`` mean what they mean in Quartz.
    """

    text: str
    fields: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, seed: str) -> "CronExpression":
        """Split and check the shape; ``seed`` decides where each ``H`` lands."""
        if len(text) > MAX_EXPRESSION_LENGTH:
            raise InvalidTriggerError(
                "cron_expr",
                f"has {len(text)} characters; at most {MAX_EXPRESSION_LENGTH} are allowed",
            )
        if not text.isascii() or not text.isprintable():
            raise InvalidTriggerError("cron_expr", "only printable ASCII characters are allowed")
        words = text.upper().split()
        if len(words) == 1 and words[0].startswith("@"):
            if words[0] not in _ALIASES:
                known = ", ".join(_ALIASES).lower()
                raise InvalidTriggerError("cron_expr", f"{text.strip()!r} is not one of {known}")
            words = _ALIASES[words[0]].split()
        if len(words) not in (5, 6):
            raise InvalidTriggerError(
                "cron_expr",
                f"needs 5 fields, or 6 with seconds first; found {len(words)}"
                + (" (there is no field for years)" if len(words) == 7 else ""),
            )
        words = words if len(words) == 6 else ["0", *words]
        bounds = [(field.name, field.low, field.high) for field in _FIELDS]
        return cls(
            text,
            tuple(
                ",".join(resolve_hash(term, *bound, seed=seed) for term in word.split(","))
                for word, bound in zip(words, bounds, strict=True)
            ),
        )

    def pattern(self) -> CronPattern:
        """What the expression says about local time; raises `InvalidTriggerError`."""
        day_rules, plain_days = _split_days(self.fields[3])
        week_rules, plain_weekdays = _split_weekdays(self.fields[5])
        plain_weekdays = _SUNDAY_LAST.sub("-7", plain_weekdays)
        plain = [*self.fields[:3], plain_days or "1", self.fields[4], plain_weekdays or "0"]
        for field, word in zip(_FIELDS, plain, strict=True):
            for term in word.split(","):
                _check_plain(field, term)
        seconds, minutes, hours, days, months, weekdays = self._expand(plain)
        both = self.fields[3].startswith("*") or self.fields[5].startswith("*")
        pattern = CronPattern(
            seconds=seconds,
            minutes=minutes,
            hours=hours,
            months=_mask(months),
            days=day_table(
                attrs.evolve(day_rules, plain=_mask(days) if plain_days else 0),
                attrs.evolve(week_rules, plain=_mask(weekdays) if plain_weekdays else 0),
                both_must_match=both,
            ),
            fixed_time=not any(_is_open(word) for word in self.fields[1:3]),
        )
        return _check_reachable(pattern)

    def _expand(self, plain: list[str]) -> list[tuple[int, ...]]:
        """Let croniter turn plain, checked fields into sorted values; seconds come first."""
        # Imported here: it costs 45 ms, which a pod without cron configs need not pay.
        from croniter import CroniterError, croniter

        # Each term once: croniter's cost grows with the number of terms.
        words = [",".join(dict.fromkeys(word.split(","))) for word in plain]
        try:
            expanded, _ = croniter.expand(" ".join(words), second_at_beginning=True)
        except (CroniterError, ValueError, KeyError) as error:
            raise InvalidTriggerError("cron_expr", f"{self.text!r}: {error}") from error
        expanded = [expanded[5], *expanded[:5]]
        return [
            tuple(range(field.low, _TOP[field.name] + 1))
            if "*" in values
            else tuple(sorted(values))
            for field, values in zip(_FIELDS, expanded, strict=True)
        ]


# Sunday is 0 after expansion, so a full week ends at 6.
_TOP = {field.name: 6 if field is _WEEKDAY else field.high for field in _FIELDS}


def _split_days(word: str) -> tuple[DayOfMonthRules, str]:
    """Take ``L``, ``L-3``, ``LW`` and ``15W`` out of a day-of-month field."""
    from_end, nearest, plain = set(), set(), []
    for term in word.split(","):
        if term == "LW":
            nearest.add(0)
        elif match := re.fullmatch(r"L(?:-(\d{1,2}))?", term):
            back = int(match[1] or 0)
            if back > 30 or (match[1] is not None and back == 0):
                raise _bad(_DAY, term, "L-n counts 1 to 30 days back from the last")
            from_end.add(back)
        elif match := re.fullmatch(r"(\d{1,2})W", term):
            nearest.add(_DAY.value(match[1]))
        else:
            plain.append(term)
    return DayOfMonthRules(
        from_end=tuple(sorted(from_end)), nearest_weekday=tuple(sorted(nearest))
    ), ",".join(plain)


def _split_weekdays(word: str) -> tuple[DayOfWeekRules, str]:
    """Take ``MON#2`` and ``5L`` out of a day-of-week field."""
    nth, last, plain = set(), set(), []
    for term in word.split(","):
        if match := re.fullmatch(r"(\d|[A-Z]{3})#(\d{1,2})", term):
            number = int(match[2])
            if not 1 <= number <= 5:
                raise _bad(_WEEKDAY, term, "the number after # is 1 to 5")
            nth.add((_WEEKDAY.value(match[1]) % 7, number))
        elif match := re.fullmatch(r"(\d|[A-Z]{3})L", term):
            last.add(_WEEKDAY.value(match[1]) % 7)
        elif term == "L":
            raise _bad(_WEEKDAY, term, "say of which weekday the last is meant, such as 5L")
        else:
            plain.append(term)
    return DayOfWeekRules(nth=tuple(sorted(nth)), last=tuple(sorted(last))), ",".join(plain)


def _check_plain(field: _Field, term: str) -> None:
    """Refuse what croniter would misread: equal or reversed ranges, wild steps, odd shapes."""
    match = _PLAIN.fullmatch(term)
    if match is None:
        raise _bad(field, term, _hint(field, term))
    low, high, step = match["low"], match["high"], match["step"]
    if low == "*" and high is not None:
        raise _bad(field, term, "a range needs a value on each side")
    first = field.low if low == "*" else field.value(low)
    if high is not None:
        last = field.value(high)
        if first == last or (field is _WEEKDAY and (first, last) == (0, 7) and low == "SUN"):
            raise _bad(field, term, f"a range from {first} to itself; write {low}")
        if first > last:
            raise _bad(field, term, _BACKWARDS[field is _WEEKDAY])
    size = _TOP[field.name] - field.low + 1
    if step is not None and not 1 <= int(step) <= size:
        raise _bad(field, term, f"the step is 1 to {size}")


_BACKWARDS = {
    False: "a range runs upwards; write two, such as 22-23,0-5 for 22 to 5",
    True: "a range runs upwards, and the week ends with SUN: write two, such as FRI-SUN,MON for "
    "FRI to MON",
}


def _hint(field: _Field, term: str) -> str:
    if field is _DAY and "W" in term and "L" in term and "-" in term:
        return "only 15W and LW have a W; L-3 is the third day before the last"
    if term == "":
        return "a list has an empty place"
    if term == "?":
        return "write * for ?; weekdays are 0 to 7 from Sunday here, not 1 to 7 as in Quartz"
    if "-" in term and field is _WEEKDAY and "#" in term:
        return "# takes one weekday, such as MON#2"
    return "expected *, a value, a range a-b, or a step such as */5 or a-b/5"


def _is_open(word: str) -> bool:
    """Whether a field has a wildcard or an open step: ``*``, ``*/5``, ``3/5``."""
    return any(
        term.startswith("*") or ("/" in term and "-" not in term) for term in word.split(",")
    )


def _check_reachable(pattern: CronPattern) -> CronPattern:
    silence = pattern.longest_silence_years()
    if silence is None:
        raise InvalidTriggerError("cron_expr", "no date ever matches (such as 30 February)")
    if silence > HORIZON_YEARS:
        raise InvalidTriggerError(
            "cron_expr",
            f"matches dates up to {silence} years apart; more than {HORIZON_YEARS} cannot be meant",
        )
    return pattern


def _mask(values: Iterable[int]) -> int:
    return sum(1 << value for value in values)


def _bad(field: _Field, term: str, reason: str) -> InvalidTriggerError:
    shown = term if len(term) <= 30 else term[:27] + "..."
    return InvalidTriggerError("cron_expr", f"{field.name} {shown!r}: {reason}")
