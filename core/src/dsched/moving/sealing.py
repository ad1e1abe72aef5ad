"""The seal of a backup: what it is of, and what has to be in it."""

from typing import Any

import attrs

from dsched.contracts.store.moving import MovedDocument, Part
from dsched.model import JsonValue

KIND, ID = "backup", "seal"


@attrs.frozen(kw_only=True)
class Seal:
    """When the backup was taken (wall), of which kind of store, and its lasting content summed
    up."""

    taken_ms: int
    store: str
    version: str
    lasting: dict[str, list[Any]] = attrs.field(factory=dict)

    def part(self) -> Part:
        """The seal as a document of the backup."""
        value: JsonValue = attrs.asdict(self)
        return Part(documents=(MovedDocument(kind=KIND, id=ID, version=1, value=value),))


def without_seal(part: Part) -> Part:
    """What a backup holds of the store that it is of."""
    if not any(one.kind == KIND for one in part.documents):
        return part
    kept = tuple(one for one in part.documents if one.kind != KIND)
    return attrs.evolve(part, documents=kept)


def read_seal(part: Part) -> Seal | None:
    """The seal, if this part has it."""
    for one in part.documents:
        if (one.kind, one.id) == (KIND, ID) and isinstance(one.value, dict):
            return Seal(**one.value)
    return None
