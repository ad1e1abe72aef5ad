"""What an autoscaler asks for: slots, and workers of the size that there are."""

import pytest

from dsched.model import Demand, Home, Worker, demand_of


def worker(name, capacity, **state):
    return Worker(id=name, incarnation="1", capacity=capacity, backlog=0, **state)


FOUR = (worker("a", 4), worker("b", 4))


@pytest.mark.parametrize(
    ("by_home", "workers", "expected"),
    [
        ({}, (), (0, 0, 0, 0)),
        ({"ready": 3}, (), (3, 3, 0, 1)),
        ({"ready": 3, "queue": 2, "lease": 4}, FOUR, (9, 5, 8, 3)),
        ({"lease": 8}, FOUR, (8, 0, 8, 2)),
        ({"lease": 1}, FOUR, (1, 0, 8, 1)),
        ({"delayed": 99, "held": 9}, FOUR, (0, 0, 8, 0)),
        # The large ones that leave have still work, but say nothing of the size of the next ones.
        ({"lease": 8}, (worker("a", 2), worker("b", 100, draining=True)), (8, 0, 2, 4)),
        ({"ready": 5}, (worker("a", 2, gone=True),), (5, 5, 0, 3)),
        ({"ready": 10}, (worker("a", 1), worker("b", 4)), (10, 10, 5, 4)),
        ({Home.READY: 10**6}, (worker("a", 10_000),), (10**6, 10**6, 10_000, 100)),
    ],
)
def test_the_demand_is_in_slots_and_in_workers_of_their_mean_size(by_home, workers, expected):
    slots, waiting, capacity, wanted = expected
    assert demand_of(by_home, workers) == Demand(
        slots=slots, waiting=waiting, capacity=capacity, wanted_workers=wanted
    )
