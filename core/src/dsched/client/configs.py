"""What the client does to configs: put and list, each put planned and compared."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from dsched.client.asking import (
    ClientError,
    PreconditionError,
)
from dsched.client.changing import (
    LATER_KEYS_SINCE,
    MOVED_TRIES,
    Changing,
    check_origin,
    moved_error,
    needs_format,
)
from dsched.client.judging import reader
from dsched.client.limits import first_wrong, unknown_limits
from dsched.client.rearming import planned_put
from dsched.contracts.service import EntryError
from dsched.contracts.store.bounds import MAX_BATCH, MAX_HEAVY_BATCH
from dsched.contracts.store.configs import ConfigPage, PutConfig, StoredConfig
from dsched.contracts.store.outcomes import Outcome
from dsched.model import InvalidConfigError, TaskConfig
from dsched.planning import (
    InvalidTriggerError,
    check_policies,
)
from dsched.selecting import ConfigSelection, config_page


@attrs.frozen(kw_only=True)
class ConfigOutcome:
    """What became of one config of `put_configs`: ``created``, ``changed``, ``unchanged``, with
    what is stored now; or ``refused``, with the ``error`` that says why."""

    id: str
    outcome: str = "refused"
    stored: StoredConfig | None = None
    error: ClientError | InvalidConfigError | InvalidTriggerError | EntryError | None = None

    def kept(self) -> StoredConfig:
        """What is stored now; raises the error of what was refused."""
        if self.stored is None:
            raise self.error or ValueError(f"config {self.id} was refused without a reason")
        return self.stored


class Configs(Changing):
    """The acts on configs."""

    async def put_config(
        self,
        config: TaskConfig | Mapping[str, Any],
        *,
        adopt: bool = False,
        origin: str | None = None,
        revision: int | None = None,
        expected_revision: int | None = None,
    ) -> StoredConfig:
        """Create or change a config; equal content changes nothing. What is stored afterwards.

        ``config`` is a `TaskConfig`, or an entry of a task file with its ``id``, of ``origin`` if
        one is given. ``revision`` and ``expected_revision`` are one. `InvalidConfigError` if no
        installed executor takes it.

        One that another origin declares raises `ConflictError` with the code ``origin_conflict``,
        unless it is to be ``adopt``ed: then it is of ``config.origin`` from now on. With
        ``expected_revision`` (0: there must be none) only if that is what is stored, else
        `PreconditionError`. Policies that contradict one another are an `InvalidConfigError`.
        """
        expected_revision = expected_revision if revision is None else revision
        wanted = self._accepted(config, origin)
        for _ in range(MOVED_TRIES):
            (done,) = await self._put_batch(
                [wanted], adopt=adopt, expected_revision=expected_revision
            )
            if done is not None:
                return done.kept()
        raise moved_error(wanted.id)

    async def put_configs(
        self,
        configs: Iterable[TaskConfig | Mapping[str, Any]],
        *,
        adopt: bool = False,
        origin: str | None = None,
    ) -> tuple[ConfigOutcome, ...]:
        """Create or change any number of configs, each by itself: an outcome each, in their order.

        They are what `put_config` takes. One that is refused leaves the others alone: what
        `put_config` would raise for it is its ``error``. Of several with one id the last one stays.
        May be repeated as it is.
        """
        given = list(configs)
        found: list[ConfigOutcome] = []
        for start in range(0, len(given), MAX_HEAVY_BATCH):
            batch = given[start : start + MAX_HEAVY_BATCH]
            found += await self._put_some(batch, adopt=adopt, origin=origin)
        return tuple(found)

    async def _put_some(
        self,
        configs: Sequence[TaskConfig | Mapping[str, Any]],
        *,
        adopt: bool,
        origin: str | None,
    ) -> Sequence[ConfigOutcome]:
        """As many as one step of the store takes. Configs that others changed meanwhile are
        retried."""
        wanted: dict[int, TaskConfig] = {}
        done: dict[int, ConfigOutcome] = {}
        for place, config in enumerate(configs):
            try:
                wanted[place] = self._accepted(config, origin)
            except (InvalidConfigError, InvalidTriggerError, EntryError) as error:
                done[place] = ConfigOutcome(id=_id_of(config), error=error)
        moved: Counter[int] = Counter()
        while len(done) < len(configs):
            # A step may name an id only once: of several configs with one id the first goes now.
            first = {wanted[at].id: at for at in reversed(wanted) if at not in done}
            places = sorted(first.values())
            answers = await self._put_batch([wanted[at] for at in places], adopt=adopt)
            for at, answer in zip(places, answers, strict=True):
                moved[at] += answer is None
                if answer is not None:
                    done[at] = answer
                elif moved[at] == MOVED_TRIES:
                    done[at] = ConfigOutcome(id=wanted[at].id, error=moved_error(wanted[at].id))
        return [done[place] for place in range(len(configs))]

    async def _put_batch(
        self, configs: Sequence[TaskConfig], *, adopt: bool, expected_revision: int | None = None
    ) -> list[ConfigOutcome | None]:
        """Read, plan and put configs of distinct ids, once; None for one that others changed."""
        ids = [config.id for config in configs]
        read = await self._answered(lambda: self._store.get_configs(ids))
        # Read the clock only now: what was decided before the configs were read then lies before
        # it.
        now_ms = (await self._answered(self._store.now)).wall_ms
        found: dict[str, ConfigOutcome | None] = dict.fromkeys(ids)
        items: list[tuple[StoredConfig | None, PutConfig]] = []
        for config, old in zip(configs, read, strict=True):
            try:
                _check_revision(config.id, old, expected_revision)
                if not adopt:
                    check_origin(old, config.origin)
                items.append((old, planned_put(config, old, now_ms)))
            except (ClientError, InvalidTriggerError) as error:
                found[config.id] = ConfigOutcome(id=config.id, error=error)
        items = await self._of_this_format(items, found)
        items = await self._of_known_limits(items, found)
        if items:
            puts = [item for _, item in items]
            answers = await self._answered(lambda: self._store.put(puts, by=self._by))
            for (old, item), answer in zip(items, answers, strict=True):
                if answer.stored is not None and answer.outcome in (Outcome.OK, Outcome.DUP):
                    word = "created" if old is None else "changed"
                    if old is not None and old.config == item.config:
                        word = "unchanged"
                    found[item.config.id] = ConfigOutcome(
                        id=item.config.id, outcome=word, stored=answer.stored
                    )
        return list(found.values())

    async def _of_this_format(
        self,
        items: Sequence[tuple[StoredConfig | None, PutConfig]],
        found: dict[str, ConfigOutcome | None],
    ) -> list[tuple[StoredConfig | None, PutConfig]]:
        """Those that a store of this format may have; the others are refused in ``found``."""
        if all(_later_key(item.config) is None for _, item in items):
            return list(items)
        stored = (await self._answered(self._store.store_format)).stored
        if stored >= LATER_KEYS_SINCE:
            return list(items)
        kept = []
        for old, item in items:
            key = _later_key(item.config)
            if key is None:
                kept.append((old, item))
                continue
            error = InvalidConfigError(key, needs_format(stored))
            found[item.config.id] = ConfigOutcome(id=item.config.id, error=error)
        return kept

    async def _of_known_limits(
        self,
        items: Sequence[tuple[StoredConfig | None, PutConfig]],
        found: dict[str, ConfigOutcome | None],
    ) -> list[tuple[StoredConfig | None, PutConfig]]:
        """Those whose limits are there; the others are refused in ``found``."""
        named = (name for _, item in items for name in item.config.limits)
        unknown = await unknown_limits(self._store, named)
        kept = []
        for old, item in items:
            wrong = first_wrong(item.config.limits, unknown)
            if wrong is None:
                kept.append((old, item))
            else:
                found[item.config.id] = ConfigOutcome(id=item.config.id, error=wrong)
        return kept

    def _accepted(self, config: TaskConfig | Mapping[str, Any], origin: str | None) -> TaskConfig:
        """What is put of a config; `InvalidConfigError` where its policies contradict each other,
        or where no installed executor takes it."""
        if isinstance(config, Mapping):
            entry = {name: value for name, value in config.items() if name != "id"}
            config = reader(self._judge).config(str(config.get("id", "")), entry)
        elif self._judge is not None:
            config = self._judge.judged(config)
        check_policies(config)
        config = self._defaults.fill(config)
        return config if origin is None else config.of_origin(origin)

    async def list_configs(
        self,
        *,
        cursor: str | None = None,
        limit: int = 100,
        origin: str | None = None,
        config_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        owner: str | None = None,
    ) -> ConfigPage:
        """A page of configs by ascending id; of ``origin`` only, if one is given, and of those
        that fit ``config_id`` (an id, or the beginning of ids and a star), ``labels`` and
        ``owner``.

        Such a page may be short, or empty, while its cursor is not None.
        """
        pattern = "*" if config_id is None else config_id
        meant = ConfigSelection(pattern=pattern, labels=labels or {}, owner=owner)
        return await self._answered(
            lambda: config_page(self._store, meant, cursor, limit, origin=origin)
        )

    async def get_configs(self, config_ids: Sequence[str]) -> tuple[StoredConfig | None, ...]:
        """Any number of configs in the order of the ids, None where there is none."""
        ids = list(dict.fromkeys(config_ids))
        found: dict[str, StoredConfig | None] = {}
        for start in range(0, len(ids), MAX_BATCH):
            batch = ids[start : start + MAX_BATCH]
            answer = await self._answered(lambda: self._store.get_configs(batch))  # noqa: B023
            found.update(zip(batch, answer, strict=True))
        return tuple(found[one] for one in config_ids)


def _id_of(config: TaskConfig | Mapping[str, Any]) -> str:
    return str(config.get("id", "")) if isinstance(config, Mapping) else config.id


def _check_revision(config_id: str, stored: StoredConfig | None, expected: int | None) -> None:
    found = 0 if stored is None else stored.config.revision
    if expected is not None and expected != found:
        there = f"is at revision {found}" if found else "does not exist"
        meant = f"revision {expected}" if expected else "a new one"
        raise PreconditionError(
            "precondition_failed",
            f"config {config_id} {there}, the change was meant for {meant}; read it again",
        )


def _later_key(config: TaskConfig) -> str | None:
    """The key of a config that stores of older formats do not know, if it has one."""
    if config.calendar is not None:
        return "calendar"
    if config.limits:
        return "limits"
    if config.max_running is not None:
        return "max_running"
    if config.template:
        return "template"
    for name in ("pause_after_failures", "max_runs"):
        if getattr(config, name) is not None:
            return name
    return None if config.workflow is None else "steps"
