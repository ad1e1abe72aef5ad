"""The acts that tests of runs have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.runs import Advance, AdvanceAnswer, Birth, OpenRun, RunPage
from dsched.model import (
    Home,
    Member,
    MemberLine,
    Step,
    TaskStatus,
    Workflow,
)
from dsched.planning.runs import RunEnd
from dsched_testkit.suites.store.arrange import (
    Arranging,
    a_spec,
)

OPENING = (TaskStatus.PENDING, Home.OPEN)
OPEN = (TaskStatus.RUNNING, Home.OPEN)
FLOW = Workflow(
    steps=[
        Step(id="a", executor="local", payload={"call": "work"}),
        Step(id="b", executor="local", payload={"call": "work"}, needs=["a"]),
    ]
)
WELL, ILL = TaskStatus.SUCCESS, TaskStatus.FAILED


def a_member(step: str, **fields: Any) -> Birth:
    """A member to make."""
    spec = a_spec(member=Member(step=step), **fields)
    return Birth(name=step, spec=spec)


def said(lines: Sequence[MemberLine]) -> list[tuple[str, str]]:
    """What lines tell, in short."""
    return [(line.what.value, line.name) for line in lines]


class RunSteps(Arranging):
    """The acts that tests of runs have in common."""

    async def with_leader(self) -> None:
        """A leader and a worker."""
        await self.lead()
        await self.worker()

    async def submit_run(self, run_id: str = "r", *, delay_ms: int = 0, **fields: Any) -> str:
        """Submit a run."""
        fields = {"executor": "workflow", "payload": None, "workflow": FLOW} | fields
        return await self.submit(run_id, delay_ms=delay_ms, **fields)

    async def open_run(self, run_id: str = "r", **fields: Any) -> str:
        """A run that the leader has seen."""
        await self.submit_run(run_id, **fields)
        page = await self.run_page()
        assert run_id in [one.task.id for one in page.runs]
        return run_id

    async def run_page(self, known: Mapping[str, int] | None = None, limit: int = 10) -> RunPage:
        """The runs with news."""
        return await self.store.open_runs(self.fence, known or {}, limit)

    async def the_run(self, known: Mapping[str, int] | None = None) -> OpenRun:
        """The one run with news."""
        (run,) = (await self.run_page(known)).runs
        return run

    async def advance_run(
        self, run_id: str = "r", version: int = 0, **fields: Any
    ) -> AdvanceAnswer:
        """Advance one run."""
        item = Advance(run_id=run_id, version=version, **fields)
        (answer,) = await self.store.advance(self.fence, [item])
        return answer

    async def bear(self, *steps: str, run_id: str = "r", version: int = 0, **fields: Any) -> int:
        """Make members; the version of the run then."""
        births = tuple(a_member(step) for step in steps)
        answer = await self.advance_run(run_id, version, births=births, **fields)
        assert answer.outcome is Outcome.OK
        return answer.version

    async def member_log(self, run_id: str = "r") -> tuple[MemberLine, ...]:
        """The whole member log."""
        found = await self.store.run_lines(run_id, 0, 1000)
        assert found is not None
        return found

    async def ended_well(self, run_id: str = "r") -> str:
        """A run of one member that has ended, both with success."""
        await self.open_run(run_id)
        await self.bear("a", run_id=run_id)
        await self.finish(f"{run_id}~a", await self.start(f"{run_id}~a"))
        end = RunEnd(status=WELL)
        assert (await self.advance_run(run_id, 2, end=end)).outcome is Outcome.OK
        return run_id
