"""The instants of a cron expression in a zone: local matches, mapped through DST changes.

Time is cut into stretches of constant offset. Within one, local and real time run alike. At the
seams a *fixed-time* cron (hour and minute given) follows the config's policies, so that a daily
job runs once a day; any other runs straight through, matching whatever the wall shows.
"""

from collections.abc import Iterator

import attrs

from dsched.model import DstGap, DstOverlap
from dsched.planning.cron.fields import HORIZON_YEARS
from dsched.planning.cron.pattern import CronPattern
from dsched.planning.zone import Segment, Zone, year_of, year_start_s

# Years that datetime and the zone database cover, with a margin.
_MIN_S = year_start_s(1900)
_MAX_S = year_start_s(9980)
_WINDOW_S = 366 * 86_400


@attrs.frozen(kw_only=True)
class CronInstants:
    """See `Instants`; ``start_ms`` and ``end_ms`` are inclusive."""

    pattern: CronPattern
    zone: Zone
    dst_gap: DstGap
    dst_overlap: DstOverlap
    start_ms: int | None = None
    end_ms: int | None = None

    def reaches(self, at_s: int) -> bool:
        """Whether an instant lies where zones can be asked about."""
        return _MIN_S <= at_s <= _MAX_S

    def next_after(self, ms: int) -> int | None:
        """The first instant later than ``ms``, at most eight calendar years ahead."""
        first_s = self._bounded_first(ms // 1000 + 1)
        if first_s > _MAX_S:
            return None
        last_s = self._bounded_last(year_start_s(year_of(first_s) + HORIZON_YEARS + 1) - 1)
        if first_s > last_s:
            return None
        for segment in self.zone.segments(first_s, last_s):
            found_s = self._first_in(segment, first_s)
            if found_s is not None:
                return found_s * 1000 if found_s <= last_s else None
        return None

    def last_before(self, ms: int, *, not_before_ms: int) -> int | None:
        """The latest instant in ``[not_before_ms, ms]``, at most eight calendar years back."""
        last_s = self._bounded_last(ms // 1000)
        if last_s < _MIN_S:
            return None
        floor_s = max(
            self._bounded_first(-(-not_before_ms // 1000)),
            year_start_s(max(1900, year_of(last_s) - HORIZON_YEARS)),
        )
        # Year by year backwards, so that the usual answer costs one look.
        while last_s >= floor_s:
            window_s = max(floor_s, last_s - _WINDOW_S)
            for segment in reversed(list(self.zone.segments(window_s, last_s))):
                found_s = self._last_in(segment, last_s)
                if found_s is not None and found_s >= window_s:
                    return found_s * 1000
            last_s = window_s - 1
        return None

    def count_between(self, first_ms: int, last_ms: int) -> int:
        """How many instants lie in ``[first_ms, last_ms]``; costs by months and transitions."""
        first_s = self._bounded_first(-(-first_ms // 1000))
        last_s = self._bounded_last(last_ms // 1000)
        if first_s > last_s:
            return 0
        segments = self.zone.segments(first_s, last_s)
        return sum(self._count_in(segment, first_s, last_s) for segment in segments)

    def all_between(self, first_ms: int, last_ms: int) -> Iterator[int]:
        """Every instant in ``[first_ms, last_ms]``, ascending."""
        first_s = self._bounded_first(-(-first_ms // 1000))
        last_s = self._bounded_last(last_ms // 1000)
        if first_s > last_s:
            return
        for segment in self.zone.segments(first_s, last_s):
            start_s = segment.start_s + segment.offset_s
            at_gap = first_s <= segment.start_s <= last_s and self._fires_after_gap(segment)
            # Equal instants are one fire: the time after the gap may be due by itself.
            if at_gap and self.pattern.next_from(start_s, start_s) is None:
                yield segment.start_s * 1000
            low_s, high_s = self._local_span(segment)
            from_s = max(low_s, first_s + segment.offset_s)
            to_s = min(high_s, last_s + 1 + segment.offset_s)
            for local_s in self.pattern.all_between(from_s, to_s):
                yield (local_s - segment.offset_s) * 1000

    def _first_in(self, segment: Segment, first_s: int) -> int | None:
        if segment.start_s >= first_s and self._fires_after_gap(segment):
            return segment.start_s
        low_s, high_s = self._local_span(segment)
        local_s = self.pattern.next_from(max(low_s, first_s + segment.offset_s), high_s - 1)
        return None if local_s is None else local_s - segment.offset_s

    def _last_in(self, segment: Segment, last_s: int) -> int | None:
        low_s, high_s = self._local_span(segment)
        local_s = self.pattern.last_until(min(high_s - 1, last_s + segment.offset_s), low_s)
        if local_s is not None:
            return local_s - segment.offset_s
        if segment.start_s <= last_s and self._fires_after_gap(segment):
            return segment.start_s
        return None

    def _count_in(self, segment: Segment, first_s: int, last_s: int) -> int:
        low_s, high_s = self._local_span(segment)
        from_s = max(low_s, first_s + segment.offset_s)
        to_s = min(high_s, last_s + 1 + segment.offset_s)
        count = self.pattern.count(from_s, to_s)
        if first_s <= segment.start_s <= last_s and self._fires_after_gap(segment):
            start_s = segment.start_s + segment.offset_s
            # Equal instants are one fire: the time after the gap may be due by itself.
            count += self.pattern.count(start_s, start_s + 1) == 0
        return count

    def _local_span(self, segment: Segment) -> tuple[int, int]:
        """The local times ``[low, high)`` of a stretch that may fire there."""
        low_s = segment.start_s + segment.offset_s
        high_s = segment.end_s + segment.offset_s
        if self.pattern.fixed_time:
            if self.dst_overlap == DstOverlap.FIRST:
                # Local times that the wall showed before the clocks went back have fired already.
                low_s = max(low_s, segment.start_s + segment.before_s)
            elif self.dst_overlap == DstOverlap.LAST:
                # Local times that the wall will show again fire then.
                high_s = min(high_s, segment.end_s + segment.after_s)
        return low_s, high_s

    def _fires_after_gap(self, segment: Segment) -> bool:
        """Whether a local time that the clocks jumped over is made up for at the jump."""
        if not self.pattern.fixed_time or self.dst_gap != DstGap.NEXT:
            return False
        from_s = segment.start_s + segment.before_s
        to_s = segment.start_s + segment.offset_s
        return self.pattern.next_from(from_s, to_s - 1) is not None

    def _bounded_first(self, first_s: int) -> int:
        if self.start_ms is not None:
            first_s = max(first_s, -(-self.start_ms // 1000))
        return max(first_s, _MIN_S)

    def _bounded_last(self, last_s: int) -> int:
        if self.end_ms is not None:
            last_s = min(last_s, self.end_ms // 1000)
        return min(last_s, _MAX_S)
