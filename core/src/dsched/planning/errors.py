"""The one error of this layer: a trigger that makes no sense."""


class InvalidTriggerError(ValueError):
    """A trigger that cannot be accepted: ``field`` is the config's field, ``reason`` says why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
