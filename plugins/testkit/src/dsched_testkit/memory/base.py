"""What every group of the reference store's steps uses."""

from dsched_testkit.memory.state import State


class OnState:
    """A handle on a `State`."""

    def __init__(self, state: State) -> None:
        self._state = state
