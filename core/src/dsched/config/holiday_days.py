"""The holidays of a country or a market, as the library `holidays` knows them."""

import contextlib
from datetime import date
from functools import lru_cache
from typing import Any

from dsched.model import DatedDays
from dsched.model.calendars import MAX_DAY_NAME, joined
from dsched.wording import did_you_mean, printable


def import_holidays() -> None:
    """Import the library, if it is installed. The first time takes a second or two."""
    with contextlib.suppress(ModuleNotFoundError):
        import holidays  # noqa: F401


@lru_cache(maxsize=256)
def holiday_days(
    code: str, subdivision: str | None, language: str | None, *, first_year: int, last_year: int
) -> tuple[DatedDays, ...]:
    """The days of these years, each with its name in ``language`` (None: that of the country).

    ``code`` is a country's (``DE``) or a market's (``XNYS``). Raises ValueError for what the
    library does not know, `ModuleNotFoundError` without the library.
    """
    import holidays

    countries, markets = holidays.list_supported_countries(), holidays.list_supported_financial()
    if code not in countries and code not in markets:
        reason = f"{printable(code)!r} is no country or market that is known"
        raise ValueError(f"holidays: {reason}; {did_you_mean(code, [*countries, *markets])}")
    known = countries.get(code, markets.get(code, []))
    if subdivision is not None and subdivision not in known:
        reason = f"{printable(subdivision)!r} is no subdivision of {code}"
        raise ValueError(f"subdivision: {reason}; {did_you_mean(subdivision, known)}")
    made: Any = holidays.country_holidays if code in countries else holidays.financial_holidays
    years = range(first_year, last_year + 1)
    # Without a language the library takes that of the host's environment, and pods would disagree.
    chosen = language or made(code, subdiv=subdivision, years=()).default_language
    found = made(code, subdiv=subdivision, years=years, language=chosen)
    if language is not None and language not in found.supported_languages:
        reason = f"{printable(language)!r} is not spoken of {code}"
        raise ValueError(f"language: {reason}; {did_you_mean(language, found.supported_languages)}")
    return joined(
        DatedDays(day, day, printable(str(name), MAX_DAY_NAME - 3))
        for day, name in sorted(found.items())
        if isinstance(day, date)
    )
