"""What operators ask for: skips, the end of a drain, another leader, who runs."""

from collections.abc import Sequence

from dsched.contracts.store.checks import check_capacity, check_instants, check_limit, number_of
from dsched.contracts.store.codec import read_pod, write_pod
from dsched.contracts.store.operating import (
    MAX_PODS,
    MAX_SKIPS,
    Operating,
    PodRecord,
    Term,
    TermPage,
)
from dsched.contracts.store.outcomes import Outcome
from dsched_store_redis.base import OnRedis
from dsched_store_redis.wire import decode, is_id, load_json, optional, outcome, text


class RedisOperating(OnRedis, Operating):
    """What operators ask for."""

    async def skip(
        self, config_id: str, revision: int, instants: Sequence[int], *, by: str, why: str
    ) -> Outcome:
        """Remember instants that are not to be fired."""
        check_instants(instants)
        if not is_id(config_id):
            return Outcome.UNKNOWN
        named = " ".join(map(str, instants))
        answer = await self._step(
            "skip",
            by,
            config_id,
            revision,
            named,
            text(by),
            text(why),
            MAX_SKIPS,
            durable=True,
        )
        return outcome(answer[0])

    async def undrain(self, worker_id: str, *, by: str) -> Outcome:
        """Undo an operator's drain."""
        if not is_id(worker_id):
            return Outcome.NO_WORKER
        return outcome((await self._step("undrain", worker_id, by))[0])

    async def resize(self, worker_id: str, capacity: int, *, by: str) -> Outcome:
        """Set how many attempts a worker runs at once."""
        check_capacity(capacity)
        if not is_id(worker_id):
            return Outcome.NO_WORKER
        return outcome((await self._step("resize", worker_id, capacity, by))[0])

    async def step_down(self, fence: str, *, by: str, why: str, rest_ms: int) -> Outcome:
        """Take the lock from a term."""
        return outcome((await self._step("step_down", fence, text(by), text(why), rest_ms))[0])

    async def terms(self, cursor: str | None, limit: int) -> TermPage:
        """The last terms."""
        check_limit(limit)
        before = "" if cursor is None else number_of(cursor)
        rows = (await self._step("terms", before, limit))[1]
        terms = tuple(_term(row) for row in rows[:limit])
        return TermPage(terms=terms, cursor=str(terms[-1].epoch) if len(rows) > limit else None)

    async def pod_seen(self, pod: PodRecord, ttl_ms: int) -> None:
        """Say that a pod runs."""
        await self._step("pod_seen", pod.id, ttl_ms, write_pod(pod), MAX_PODS, pod.store_format)

    async def pod_left(self, pod_id: str) -> None:
        """Say that a pod has left."""
        await self._step("pod_left", pod_id)

    async def pods(self) -> tuple[PodRecord, ...]:
        """The pods that run."""
        _, rows, formats = await self._step("pods", MAX_PODS)
        return read_pods(rows, formats)


def _term(row: bytes) -> Term:
    epoch, began, ended, how, who, why, pod = row.split(b"\t", 6)
    return Term(
        epoch=int(epoch),
        pod=decode(pod),
        began_ms=int(began),
        ended_ms=optional(ended),
        how=decode(how),
        who=load_json(decode(who)),
        why=load_json(decode(why)),
    )


def read_pods(rows: list[bytes], formats: list[bytes]) -> tuple[PodRecord, ...]:
    """Pods by (name, id)."""
    pods = (_pod(row, int(known)) for row, known in zip(rows, formats, strict=True))
    return tuple(sorted(pods, key=lambda pod: (pod.name, pod.id)))


def _pod(row: bytes, store_format: int) -> PodRecord:
    seen_ms, _, record = decode(row).partition("\t")
    return read_pod(record, seen_ms=int(seen_ms), store_format=store_format)
