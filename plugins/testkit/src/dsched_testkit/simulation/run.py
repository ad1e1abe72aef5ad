"""One seeded run: a cluster lives through minutes of trouble, heals, and is checked."""

import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs

from dsched.client import Client
from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.store.settings import StoreSettings
from dsched_testkit.checker import check, excerpt
from dsched_testkit.evidence import Line as EvidenceLine
from dsched_testkit.evidence import gathered
from dsched_testkit.judging.asked_skips import skips_hold
from dsched_testkit.judging.facts import facts_problems
from dsched_testkit.judging.paths import recovery_paths
from dsched_testkit.judging.testimony import Testimony, trouble
from dsched_testkit.judging.written import LOSES_LINES, lines_kept_once
from dsched_testkit.kernel.bodies import Ledger
from dsched_testkit.kernel.recording import Books
from dsched_testkit.kernel.virtual_time import VirtualLoop, VirtualWall, run_virtual
from dsched_testkit.memory import new_state
from dsched_testkit.memory.audit import Audit
from dsched_testkit.simulation.configs import random_configs
from dsched_testkit.simulation.faults import MODES, FaultyProcess, Sky, choose_faults
from dsched_testkit.simulation.liveness import STANDSTILL_S, Ends, rest_within_s
from dsched_testkit.simulation.night import night_paths, random_night, random_time
from dsched_testkit.simulation.processes import CAPACITIES, Processes
from dsched_testkit.simulation.runs import SHARE, RunUsers
from dsched_testkit.simulation.store_trouble import StoreTrouble
from dsched_testkit.simulation.trouble import NAMES, ODD_WORK, Trouble
from dsched_testkit.simulation.users import Users

TROUBLE_S = 300.0
USERS_END_WITHIN_S = 120.0
KILLED_END_WITHIN_S = 60.0
CHECK_EVERY_S = 15.0
BACKGROUND = frozenset({"packet", "operator", "restart", "store", "trouble", "users"})
MOST_DRIFT_PPM = 500.0
MAX_LOG = 500_000  # the checker reads the log from its beginning


@attrs.frozen(kw_only=True)
class Ran:
    """What one seed gave. ``digest`` is over the log and the ledger: equal runs, equal digests.

    ``rested_s`` after the faults all was at rest, ``slack_s`` before the bound. ``evidence`` is
    what the checker was given, where it was asked to be kept.
    """

    seed: int
    digest: str
    virtual_s: float
    tasks: int
    calls: int
    fires: int
    accounted_configs: int
    slack_s: float
    rested_s: float
    faults: dict[str, int]
    seen: dict[str, int]
    violations: list[str]
    excerpt: list[str]
    evidence: list[EvidenceLine]


def simulate(
    seed: int,
    balancer: tuple[str, LoadBalancer],
    *,
    faults: frozenset[str] | None = None,
    trouble_s: float = TROUBLE_S,
    keep: bool = False,
) -> Ran:
    """Run one seed in virtual time; with ``faults`` only those of its faults that are in there."""
    return run_virtual(
        _story(seed, balancer, only=faults, trouble_s=trouble_s, keep=keep), numbered=True
    )


async def _story(
    seed: int,
    balancer: tuple[str, LoadBalancer],
    *,
    only: frozenset[str] | None,
    trouble_s: float,
    keep: bool,
) -> Ran:
    async with asyncio.TaskGroup() as group:
        run = _Run(seed, balancer, only=only, keep=keep, group=group)
        await run.trouble(trouble_s)
        quiet = await run.heal_and_quiesce()
        await run.end()
    return run.result(quiet=quiet)


class _Run:
    """The parts of a run under way. Made, nothing runs yet."""

    def __init__(
        self,
        seed: int,
        balancer: tuple[str, LoadBalancer],
        *,
        only: frozenset[str] | None,
        keep: bool,
        group: asyncio.TaskGroup,
    ) -> None:
        self.seed, self.keep, self.group = seed, keep, group
        self.found: list[str] = []
        self.seen: Counter[str] = Counter()
        self.allowed_s = self.rested_s = 0.0
        self.chance = random.Random(seed)
        loop = asyncio.get_running_loop()
        self.now_s = loop.time
        self.sky = Sky(faults=choose_faults(self.chance, only), now_s=self.now_s, network=group)
        self.zone, self.wall = self._clock(loop)
        self.state = new_state(self.wall, StoreSettings(max_events=MAX_LOG))
        self.books, self.ledger = Books(), Ledger(now_s=self.now_s)
        self.audit = Audit(self.state)
        kept: dict[str, Any] = {"state": self.state, "books": self.books}
        self.testimony = Testimony(source=f"simulation, seed {seed}", ledger=self.ledger, **kept)
        self._people(balancer, {**kept, "sky": self.sky})

    def _clock(self, loop: asyncio.AbstractEventLoop) -> tuple[str, VirtualWall]:
        """The zone of the night, and its wall clock."""
        chance, faults = self.chance, self.sky.faults
        zone, start_ms = "UTC", random_time(chance)
        if "dst" in faults:
            zone, start_ms = random_night(chance)
        wall = VirtualWall(loop, start_ms)
        if "drift" in faults:
            wall.drift(chance.uniform(-MOST_DRIFT_PPM, MOST_DRIFT_PPM))
        if "permute" in faults and isinstance(loop, VirtualLoop):
            loop.permute = random.Random(chance.getrandbits(64))
        return zone, wall

    def _people(self, balancer: tuple[str, LoadBalancer], shared: dict[str, Any]) -> None:
        """The processes, their users, and what breaks the store."""
        self.client = FaultyProcess(
            name="client", now_s=self.now_s, sky=self.sky, chance=self._dice(), late=False
        )
        self.processes = Processes(
            **shared,
            group=self.group,
            ledger=self.ledger,
            chance=self._dice(),
            balancer=balancer,
        )
        configs = random_configs(self._dice(), self.sky.faults, self.wall(), self.zone)
        self.users = Users(
            client=Client(self.client.handle(self.processes.state_store(), "client")),
            sky=self.sky,
            chance=self._dice(),
            wall=self.wall,
            zone=self.zone,
            task_ids=lambda: list(self.state.tasks),
            configs={config.id: config for config in configs},
        )
        # With dice of their own: a seed without runs is the same as before there were any.
        dice = random.Random(f"runs {self.seed}")
        self.run_users = RunUsers(users=self.users, chance=dice)
        self.with_runs = dice.random() < SHARE
        if self.with_runs:
            self.users.configs |= self.run_users.configs()
        self.store_trouble = StoreTrouble(
            **shared, wall=self.wall, chance=self._dice(), dying=self._dying
        )

    def _dice(self) -> random.Random:
        return random.Random(self.chance.getrandbits(64))

    def _dying(self, position: int) -> None:
        """Keep the history as it is now: what came after ``position`` is about to be lost."""
        self.testimony.bury(position)
        lost = [event for event in self.state.log if int(event.cursor) > position]
        self.seen.update(recovery_paths(lost))
        self.audit = Audit(self.state)

    def _emptied(self) -> None:
        """Clients connect anew, and somebody puts the configs again."""
        self.client.generation = self.sky.generation
        self.group.create_task(self.users.put_all(), name="users")

    async def trouble(self, seconds: float) -> None:
        """The cluster starts, and things go wrong."""
        for name in NAMES:
            self.processes.start(name)
        trouble = Trouble(
            processes=self.processes,
            store=self.store_trouble,
            sky=self.sky,
            wall=self.wall,
            chance=self._dice(),
            group=self.group,
            emptied=self._emptied,
        )
        await self.users.put_all()
        self.group.create_task(trouble.run(), name="trouble")
        users = self.group.create_task(self.users.run(), name="users")
        people = {users}
        if self.with_runs:
            people.add(self.group.create_task(self.run_users.run(), name="users"))
        until_s = self.now_s() + seconds
        while self.now_s() < until_s:
            await asyncio.sleep(CHECK_EVERY_S)
            self.found += self.audit.problems()
        self.sky.fair = True
        await asyncio.wait(people, timeout=USERS_END_WITHIN_S)

    async def heal_and_quiesce(self) -> bool:
        """No more faults; what is missing is started; whether all is quiet in time."""
        self.client.generation = self.sky.generation
        for one in list(self.processes.alive):
            one.frozen_until_s = one.cut_until_s = 0.0
            if one.generation != self.sky.generation:
                self.processes.kill(one)
        await asyncio.sleep(CHECK_EVERY_S)
        self._start_the_missing()
        await asyncio.sleep(CHECK_EVERY_S)
        for config_id in sorted(self.state.configs):
            await self.users.client.delete_config(config_id)
        self._testify_to_the_faults()
        healed_s = self.now_s()
        self.allowed_s = rest_within_s(
            self.state.tasks.values(),
            slots=len(NAMES) * min(CAPACITIES),
            labelled_slots=min(CAPACITIES),
        )
        quiet = await self._quiet()
        self.rested_s = self.now_s() - healed_s
        await asyncio.sleep(60)  # packets that are still on their way must not matter
        return quiet

    def _start_the_missing(self) -> None:
        """Start pods that have ended anew, such as a superseded one, as an operator does."""
        present = {one.name for one in self.processes.alive if not one.leaving}
        for name in NAMES:
            if name not in present:
                self.processes.start(name)

    async def _quiet(self) -> bool:
        """Wait until every task has ended: not too long in all, and never long without an end."""
        until_s, ends = self.now_s() + self.allowed_s, Ends(self.now_s())
        while self.now_s() < until_s and not ends.stands_still(self.now_s()):
            if not ends.see(self.state.tasks.values(), self.now_s()):
                return True
            self._start_the_missing()
            await asyncio.sleep(1)
        return False

    async def end(self) -> None:
        """Stop whatever still runs: pods, packets, operators."""
        for process in list(self.processes.alive):
            self.processes.kill(process)
        for task in asyncio.all_tasks():
            if task.get_name() in BACKGROUND:
                task.cancel()
        _, left = await asyncio.wait(self.processes.killed, timeout=KILLED_END_WITHIN_S)
        for task in left:
            self.found.append(f"{task.get_name()} goes on although it was cancelled")
            task.cancel()

    def result(self, *, quiet: bool) -> Ran:
        """Check everything, and sum up."""
        lines = list(self._evidence(quiet=quiet))
        report = check(gathered(lines))
        found = [*self.found, *self.processes.problems, *self.audit.problems(), *report.violations]
        if not LOSES_LINES & self.sky.faults:
            found += lines_kept_once(self.state) + facts_problems(self.state)
            if not self._clock_went_back:
                found += skips_hold(self.state.log, self.books.skips)
        if not self.store_trouble.losses:  # a claim that the store lost is made a second time
            found += self.processes.assertions.found
        return Ran(
            seed=self.seed,
            digest=self._digest(),
            virtual_s=self.now_s(),
            tasks=len(self.state.tasks),
            calls=self.sky.calls,
            fires=sum(len(e.items) for e in self.state.log if e.kind == "fired"),
            accounted_configs=report.counts["configs accounted for"],
            slack_s=self.allowed_s - self.rested_s,
            rested_s=self.rested_s,
            faults=dict(self.sky.counts)
            | {name: 1 for name in (*ODD_WORK, *MODES) if name in self.sky.faults},
            seen=dict(self._all_seen()),
            violations=found,
            excerpt=excerpt(self.state.log, found[0]) if found else [],
            evidence=lines if self.keep else [],
        )

    def _testify_to_the_faults(self) -> None:
        """The faults are over now; the workers that are dead now were killed by them."""
        now_ms, store = self.wall(), self.store_trouble
        span = {"line": "fault", "at_ms": 0, "upto_ms": now_ms}
        alive = {process.worker_id for process in self.processes.alive}
        dead = [one for one in self.processes.worker_ids if one not in alive]
        self.testimony.faults = trouble(now_ms, dead)
        if self._clock_went_back:
            self.testimony.faults.append({**span, "kind": "clock_back"})
        self.testimony.faults += [
            {**span, "kind": "evict", "task": task_id} for task_id in sorted(store.evicted)
        ]

    @property
    def _clock_went_back(self) -> bool:
        return bool(self.sky.counts["clock_back"]) or self.store_trouble.clock_went_back

    def _evidence(self, *, quiet: bool) -> Iterator[EvidenceLine]:
        waiting = sum(not row.status.terminal for row in self.state.tasks.values())
        self.testimony.losses = self.store_trouble.losses
        self.testimony.said = self.users.said
        self.testimony.rest = {
            "waiting": waiting,
            "after_s": self.rested_s,
            "bound_s": self.allowed_s,
            "why": "" if quiet else f"or no task ended for {STANDSTILL_S:g} s",
        }
        return self.testimony.lines()

    def _all_seen(self) -> Counter[str]:
        seen = Counter(self.sky.outcomes)
        seen.update(self.seen)
        seen.update(self.store_trouble.evictions)
        seen.update(recovery_paths(self.state.log))
        seen.update(night_paths(self.state.log, self.zone))
        seen.update({f"pod {word}": n for word, n in self.processes.ends.items()})
        return seen

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for event in self.state.log:
            line = [event.cursor, event.kind, event.at_ms, event.by, [dict(i) for i in event.items]]
            digest.update(json.dumps(line, sort_keys=True).encode())
        for one in self.ledger.began:
            digest.update(repr(one).encode())
        return digest.hexdigest()[:32]
