"""What a pod has seen of its store, kept in its memory alone, and whether it is still there."""

import attrs

from dsched.contracts.store.history import Break, History, Loss, Lost, Mark


@attrs.frozen(kw_only=True)
class Seen:
    """The store as a pod saw it last: who it is, and the highest of what only grows."""

    identity: str
    generation: int
    epoch: int
    revision: int
    mark: Mark | None

    @classmethod
    def of(cls, found: History, mark: Mark | None = None) -> "Seen":
        """What is to be there from now on; ``mark`` is kept while the log has no newer entry."""
        return cls(
            identity=found.identity,
            generation=found.generation,
            epoch=found.epoch,
            revision=found.revision,
            mark=found.end or mark,
        )


def loss_of(seen: Seen, found: History) -> Loss | None:
    """What became of the past that was seen; None if it is all there."""
    if found.identity != seen.identity:
        return Loss.REPLACED
    behind = (
        found.known is False
        or found.generation < seen.generation
        or found.epoch < seen.epoch
        or found.revision < seen.revision
    )
    return Loss.RESTORED if behind else None


def recorded_break(seen: Seen, found: History) -> Break | None:
    """The newest break that tells of the loss of what was seen, if somebody has recorded it."""
    for one in found.breaks:
        newer = found.identity != seen.identity or one.generation > seen.generation
        if one.lost == seen.identity and newer:
            return one
    return None


class Past:
    """The memory of one pod. The highest epoch outlives every break: targets remember it too."""

    def __init__(self) -> None:
        self.seen: Seen | None = None
        self._epoch = 0

    @property
    def mark(self) -> Mark | None:
        """The entry of the log to ask for."""
        return None if self.seen is None else self.seen.mark

    @property
    def floor(self) -> int:
        """The least epoch for a new term: above every one that this pod has seen."""
        return self._epoch + 1 if self._epoch else 0

    def saw_epoch(self, epoch: int) -> None:
        """A term with this epoch was seen."""
        self._epoch = max(self._epoch, epoch)

    def adopt(self, found: History) -> None:
        """From now on this is what has to be there."""
        kept = self.mark if self.seen and self.seen.identity == found.identity else None
        self.saw_epoch(found.epoch)
        self.seen = Seen.of(found, kept)

    def lost(self, loss: Loss, found: History) -> Lost:
        """What to record of a loss."""
        seen = self.seen
        if seen is None:
            raise ValueError("nothing was seen, so nothing can be lost")
        return Lost(
            loss=loss,
            identity=seen.identity,
            generation=seen.generation,
            epoch=self._epoch,
            revision=max(seen.revision, found.revision),
            from_ms=found.kept_ms if loss is Loss.RESTORED else None,
        )
