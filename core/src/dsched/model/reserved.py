"""Names of fields that are kept for later versions."""

import attrs

from dsched.model.fields import InvalidConfigError


@attrs.frozen(kw_only=True)
class Reserved:
    """Fields that later versions give a meaning; until then setting one is an error."""

    parents: tuple[str, ...] = ()
    shard_index: int | None = None
    shard_total: int | None = None
    namespace: str | None = None
    concurrency_key: str | None = None


NOTHING_RESERVED = Reserved()


def check_reserved(given: Reserved) -> None:
    """Refuse a field that has no meaning yet, naming it."""
    if given is NOTHING_RESERVED:
        return
    for attribute in attrs.fields(Reserved):
        if getattr(given, attribute.name) not in (None, ()):
            raise InvalidConfigError(
                attribute.name, "is reserved for a later version; remove it from the config"
            )
