"""The load balancer contract as named tests: subclass `BalancerContract`, override ``balancer``.

class TestMine(BalancerContract):
    def balancer(self) -> LoadBalancer:
        return MyBalancer()
"""

import random
import time
from collections.abc import Sequence

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.store.dispatching import ReadyTask
from dsched.model import Worker

ROUNDS = 300


def a_fleet(size: int, uniform: random.Random) -> list[Worker]:
    """Eligible workers as the leader gives them: by ascending id, each with room."""
    fleet = []
    for index in range(size):
        capacity = uniform.randint(1, 20)
        load = uniform.randint(0, 2 * capacity - 1)
        running = min(load, capacity)
        fleet.append(
            Worker(
                id=f"w{index:04}",
                incarnation="1",
                capacity=capacity,
                backlog=capacity,
                running=running,
                queued=load - running,
            )
        )
    return fleet


def a_task(index: int) -> ReadyTask:
    """A ready task; every third one carries an affinity key."""
    key = None if index % 3 else f"key{index % 5}"
    return ReadyTask(id=f"c{index % 7}@{index}", priority=5, scheduled_ms=index, affinity_key=key)


class BalancerContract:
    """What every load balancer does."""

    #: How long one choice among 100 workers may take on average, in seconds.
    budget_s = 0.002

    def balancer(self) -> LoadBalancer:
        """A new balancer."""
        raise NotImplementedError("override balancer: it makes the balancer under test")

    def test_it_chooses_one_of_the_workers_given_or_none(self) -> None:
        """Never a worker that it remembers from an earlier choice, or a changed one."""
        balancer, uniform = self.balancer(), random.Random(1)
        for turn in range(ROUNDS):
            fleet = a_fleet(uniform.randint(1, 12), uniform)
            uniform.shuffle(fleet)
            fleet = sorted(fleet[: max(1, len(fleet) // 2)], key=lambda worker: worker.id)
            chosen = balancer.choose(a_task(turn), fleet, turn)
            assert chosen is None or chosen in fleet

    def test_it_chooses_nothing_from_nothing(self) -> None:
        """No eligible worker: None, not an error."""
        assert self.balancer().choose(a_task(1), [], 0) is None

    def test_it_uses_the_one_worker_there_is(self) -> None:
        """Else work would wait for ever although a worker is free."""
        (worker,) = a_fleet(1, random.Random(2))
        assert self.balancer().choose(a_task(1), [worker], 5) == worker

    def test_equal_arguments_give_equal_answers(self) -> None:
        """Whatever was chosen before, and by whichever instance."""
        uniform = random.Random(3)
        calls = [
            (a_task(turn), a_fleet(uniform.randint(1, 9), uniform), turn) for turn in range(ROUNDS)
        ]
        one, other = self.balancer(), self.balancer()
        first = [one.choose(*call) for call in calls]
        assert first == [one.choose(*call) for call in calls]
        assert first[::-1] == [other.choose(*call) for call in reversed(calls)]

    def test_it_takes_the_workers_in_any_sequence_and_leaves_them_as_they_are(self) -> None:
        """A tuple does as well as a list; nothing is sorted or removed in place."""
        fleet = a_fleet(6, random.Random(4))
        before = list(fleet)
        as_tuple: Sequence[Worker] = tuple(fleet)
        assert self.balancer().choose(a_task(1), fleet, 3) == self.balancer().choose(
            a_task(1), as_tuple, 3
        )
        assert fleet == before

    def test_it_is_fast_enough_for_the_leaders_loop(self) -> None:
        """Judged by the best of several rounds, so that a busy machine fails nobody."""
        balancer, fleet = self.balancer(), a_fleet(100, random.Random(5))
        best_s = min(self._round_s(balancer, fleet) for _ in range(5))
        assert best_s < self.budget_s

    @staticmethod
    def _round_s(balancer: LoadBalancer, fleet: Sequence[Worker]) -> float:
        start_s = time.perf_counter()
        for turn in range(50):
            balancer.choose(a_task(turn), fleet, turn)
        return (time.perf_counter() - start_s) / 50
