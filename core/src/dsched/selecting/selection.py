"""Which configs are meant by a pattern of ids, by labels, and by an owner."""

import re
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.checks import check_limit
from dsched.contracts.store.configs import ConfigPage
from dsched.model import InvalidConfigError, InvalidIdError, TaskConfig, check_id
from dsched.model.fields import check_labels, check_text
from dsched.wording import printable

# How many configs one selection may mean where all of their lists are read together, and among how
# many those are sought that have the labels and the owner.
MAX_SELECTED = 1000
MAX_LOOKED_AT = 10_000

# How many lists are read at the same time: one after the other, many of them would take as many
# round trips to the store.
AT_ONCE = 20

_EVERY = "*"
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,126}")


class SelectionError(ValueError):
    """What selects no configs, or too many; ``field`` is what was given, ``reason`` says why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def _labels(value: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(value))


@attrs.frozen(kw_only=True)
class ConfigSelection:
    """The configs whose id fits ``pattern``, that have each of ``labels``, and that are this
    ``owner``'s (None: anybody's).

    A pattern is an id, or what ids begin with and a star: ``etl-*``. A star alone fits every id.
    `SelectionError` for a star elsewhere, and for what no id, label or owner can be.
    """

    pattern: str = _EVERY
    labels: Mapping[str, str] = attrs.field(factory=dict, converter=_labels)
    owner: str | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what can mean no config."""
        _check_pattern(self.pattern)
        try:
            check_labels("label", self.labels)
            if self.owner is not None:
                check_text("owner", self.owner)
        except InvalidConfigError as error:
            raise SelectionError(error.field, error.reason) from None

    @property
    def prefix(self) -> str:
        """What the ids begin with; all of the id where one is named."""
        return self.pattern.removesuffix(_EVERY)

    @property
    def only_id(self) -> str | None:
        """The one id that the pattern fits; None where it fits others, too."""
        return None if self.pattern.endswith(_EVERY) else self.pattern

    @property
    def by_id(self) -> bool:
        """Whether the id alone decides, so that nothing needs to be read of a config."""
        return not self.labels and self.owner is None

    def means(self, config: TaskConfig) -> bool:
        """Whether a config is one of those."""
        fits = config.id == self.only_id if self.only_id else config.id.startswith(self.prefix)
        owned = self.owner is None or config.owner == self.owner
        return fits and owned and all(config.labels.get(k) == v for k, v in self.labels.items())


def _check_pattern(pattern: str) -> None:
    prefix = pattern.removesuffix(_EVERY)
    if _EVERY in prefix:
        raise SelectionError(
            "config",
            f"{printable(pattern)!r} has a star that is not its end; a pattern is an id, or the "
            "beginning of ids and one star: etl-*",
        )
    if prefix == pattern:
        try:
            check_id(pattern, "config")
        except InvalidIdError as error:
            raise SelectionError("config", str(error)) from None
    elif prefix and not _PREFIX.fullmatch(prefix):
        raise SelectionError(
            "config",
            f"no id begins like {printable(prefix)!r}: an id has at most 128 of A-Z a-z 0-9 _ . : "
            "-, the first a letter or digit",
        )


async def config_page(
    store: Store,
    selection: ConfigSelection,
    cursor: str | None,
    limit: int,
    *,
    origin: str | None = None,
) -> ConfigPage:
    """A page of the configs that are meant, at most ``limit`` (<= `MAX_BATCH`), by ascending id;
    of ``origin`` only, if one is given.

    It is of one read of at most `MAX_BATCH` configs, so that it may be short, or empty, while its
    cursor is not None.
    """
    check_limit(limit)
    if selection.only_id is not None:
        (only,) = await store.get_configs([selection.only_id])
        if cursor is not None or only is None or not selection.means(only.config):
            return ConfigPage(configs=(), cursor=None)
        there = origin in (None, only.config.origin)
        return ConfigPage(configs=(only,) if there else (), cursor=None)
    many = limit if selection.by_id else MAX_BATCH
    page = await store.list_configs(cursor, many, origin=origin, prefix=selection.prefix)
    found = tuple(one for one in page.configs if selection.means(one.config))
    if len(found) > limit:
        return ConfigPage(configs=found[:limit], cursor=found[limit - 1].config.id)
    return attrs.evolve(page, configs=found)


async def selected_ids(store: Store, selection: ConfigSelection) -> tuple[str, ...]:
    """The ids of all configs that are meant, ascending.

    One that is named by its id alone need not be there any more: its tasks may be. `SelectionError`
    for more than `MAX_SELECTED`, and where they are sought among more than `MAX_LOOKED_AT`.
    """
    if selection.only_id is not None and selection.by_id:
        return (selection.only_id,)
    found: list[str] = []
    cursor: str | None = None
    for _ in range(MAX_LOOKED_AT // MAX_BATCH):
        page = await config_page(store, selection, cursor, MAX_BATCH)
        found += (one.config.id for one in page.configs)
        if len(found) > MAX_SELECTED:
            raise SelectionError(
                "config",
                f"this means more than {MAX_SELECTED} configs, and the list of each would be read; "
                "give a longer beginning of their ids, another label, or the owner",
            )
        cursor = page.cursor
        if cursor is None:
            return tuple(found)
    raise SelectionError(
        "config",
        f"labels and owners are sought among at most {MAX_LOOKED_AT} configs, and there are more; "
        "give a beginning of their ids, too: etl-*",
    )
