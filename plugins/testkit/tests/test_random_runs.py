"""The workflows that a simulation draws: of every kind that there is."""

import random

from dsched_testkit.simulation.runs import random_workflow


def test_seeds_draw_steps_with_lists_of_every_kind() -> None:
    steps = [
        step
        for seed in range(300)
        for step in random_workflow(random.Random(seed), frozenset()).steps
        if step.listed
    ]
    lists = [step.for_each for step in steps if isinstance(step.for_each, list)]
    assert {len(one) for one in lists} == {0, 1, 2, 3, 4}
    assert any(isinstance(step.for_each, str) for step in steps)
    assert {step.max_parallel for step in steps} == {None, 1, 2}


def test_seeds_draw_members_for_each_worker_as_steps_and_without() -> None:
    flows = [random_workflow(random.Random(seed), frozenset()) for seed in range(300)]
    steps = [step for flow in flows for step in flow.steps if step.each_worker]
    assert {step.max_parallel for step in steps} == {None, 1, 2}
    assert any(step.needs for step in steps)
    assert sum(flow.each_worker for flow in flows) >= 5
    assert {step.shards for flow in flows for step in flow.steps} == {None, 2, 3, "each_worker"}


def test_a_seed_draws_the_same_workflow_again() -> None:
    for seed in range(20):
        first, again = (random_workflow(random.Random(seed), frozenset()) for _ in range(2))
        assert first == again
