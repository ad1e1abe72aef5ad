"""What operators ask for, in the machine."""

import attrs
from hypothesis import strategies as st

from dsched.contracts.store.firing import DuePage
from dsched.contracts.store.history import Loss, Lost
from dsched.contracts.store.operating import PodRecord
from dsched_testkit.suites.machine.leading import age, configs, often, rarely, workers
from dsched_testkit.suites.machine.pools import PERIOD_MS, a_fire
from dsched_testkit.suites.machine.working import ClientRules

WHY = 'no "power"\t'


class OperatorRules(ClientRules):
    """What operators ask for."""

    @often(2, config_id=configs, stale=age, in_ms=st.sampled_from([0, 5000, 20_000]), count=age)
    def skip(self, config_id: str, stale: int, in_ms: int, count: int) -> None:
        revision = self.version(config_id, stale).revision
        instants = [self.wall_ms + in_ms + index * PERIOD_MS for index in range(count + 1)]
        self.step("skip", config_id, revision, instants, by="op", why=WHY)

    @often(3, config_id=configs, tells=st.booleans(), edits=rarely, ahead=st.booleans())
    def a_skipped_instant_comes(
        self, config_id: str, tells: bool, edits: bool, ahead: bool
    ) -> None:
        """The leader leaves it out, or has read its plan before and fires it all the same."""
        self.put(config_id, 0, variant=0, due_in_ms=5000, early=False)
        version = self.version(config_id, 0)
        if version.due_ms is None or version.due_ms <= self.wall_ms:
            return
        instants = [version.due_ms, version.due_ms + PERIOD_MS][: 2 if ahead else 1]
        self.step("skip", config_id, version.revision, instants, by="op", why=WHY)
        self.move_clock(6000)
        if edits:
            self.put(config_id, 0, variant=1, due_in_ms=0, early=False)
        fence = self.fence(0)
        page = self.step("due", fence, 10)
        for stored in page.configs if isinstance(page, DuePage) else ():
            fire = a_fire(stored.config.id, stored.version, self.wall_ms, 1)
            if tells:
                come = tuple(one for one in stored.skips if one.at_ms <= self.wall_ms)
                fire = attrs.evolve(fire, runs=() if come else fire.runs, left_out=come)
            self.step("fire", fence, [fire])

    @often(1, worker_id=workers, who=st.sampled_from(["nobody", "operator", "itself"]))
    def a_worker_is_called_back(self, worker_id: str, who: str) -> None:
        if who != "nobody":
            by_itself = who == "itself"
            self.step("drain", worker_id, self.incarnation[worker_id] if by_itself else None)
        self.step("undrain", worker_id, by="op")

    @often(1, worker_id=workers, capacity=st.sampled_from([1, 2, 10]), again=rarely)
    def a_worker_is_resized(self, worker_id: str, capacity: int, again: bool) -> None:
        self.step("resize", worker_id, capacity, by="op")
        if again:
            self.step("resize", worker_id, capacity, by="op")

    @often(1, index=age, again=st.booleans())
    def step_down(self, index: int, again: bool) -> None:
        self.step("step_down", self.fence(index), by="op", why=WHY, rest_ms=20_000)
        if again:
            self.lead()
        self.step("terms", None, 10)

    @often(1, pod_id=st.sampled_from(["p0", "p1"]), leaves=rarely, old=rarely)
    def a_pod_speaks(self, pod_id: str, leaves: bool, old: bool) -> None:
        if leaves:
            self.step("pod_left", pod_id)
        else:
            record = PodRecord(
                id=pod_id,
                name="n",
                roles=("worker",),
                version="1",
                started_ms=5,
                store_format=3 if old else 4,
            )
            self.step("pod_seen", record, 20_000)
        self.step("pods")
        self.step("store_format")
        self.step("migrate", by="op")

    @often(1, ahead=st.integers(0, 3), stale=rarely)
    def the_history_breaks(self, ahead: int, stale: bool) -> None:
        state = self.twin.state
        lost = Lost(
            loss=Loss.RESTORED,
            identity="i",
            generation=state.generation + ahead,
            epoch=state.epoch + ahead - 1,
            revision=state.last_revision + ahead - 1,
            why=WHY,
        )
        self.step("raise_break", state.generation - stale, lost, by="p0")
