"""How much a run measures."""

import attrs


@attrs.frozen(kw_only=True)
class Plan:
    """Sizes of a run. ``many``: configs, and waiting tasks, of a store at scale;
    ``many_in_a_file`` the same for SQLite; ``storm``: configs due in one second; ``declared``:
    configs that are put at once; ``window_s``: how long pods are watched at a steady rate;
    ``failovers``: how often the leader is killed (it is stopped thrice as often); ``busy``,
    ``unmatched``, ``blocked``: tasks of a busy label, of a label that nobody has, and of
    ``classes`` classes that nobody can run."""

    rounds: int
    tasks: int
    pings: int
    seconds: int
    burst: int = 10_000
    storm: int = 5_000
    many: int = 1_000_000
    many_in_a_file: int = 100_000
    waiting: int = 100_000
    declared: int = 10_000
    failovers: int = 5
    window_s: int = 60
    busy: int = 20_000
    unmatched: int = 100_000
    blocked: int = 1_000_000
    classes: int = 10_000
