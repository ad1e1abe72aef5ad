"""What a token may do: four scopes, each with all of those below it."""

from enum import StrEnum


class Scope(StrEnum):
    """``admin`` > ``operate`` > ``submit`` > ``read``."""

    READ = "read"
    SUBMIT = "submit"
    OPERATE = "operate"
    ADMIN = "admin"

    def covers(self, needed: "Scope") -> bool:
        """Whether this scope includes the other."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)
