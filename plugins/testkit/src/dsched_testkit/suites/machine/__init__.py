"""A state machine that drives a store and the reference with the same steps, answer by answer.

Subclass `StoreMachine` and override ``open_store`` as for `StoreContract`. The number of examples
is ``STORE_MACHINE_EXAMPLES``, that of steps in each ``STORE_MACHINE_STEPS``. The examples are the
same in every run unless ``STORE_MACHINE_RANDOM`` is set.
"""

import os

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from dsched_testkit.suites.machine.rules import Machine
from dsched_testkit.suites.machine.twin import DivergedError
from dsched_testkit.suites.store.harness import StoreHarness

__all__ = ["DivergedError", "StoreMachine", "run_machine"]


def run_machine(
    harness: StoreHarness, max_examples: int, steps: int, *, shrink: bool = True
) -> None:
    """Run the machine against a store; raises `DivergedError` at the first different answer.

    With ``shrink`` the steps that the error lists are as few as could be found in a minute or so.
    """
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    chosen = settings(
        max_examples=max_examples,
        stateful_step_count=steps,
        derandomize="STORE_MACHINE_RANDOM" not in os.environ,
        phases=phases,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    machine = type("TestedMachine", (Machine,), {"harness": harness})
    run_state_machine_as_test(machine, settings=chosen)


class StoreMachine(StoreHarness):
    """One test: however it is driven, the store answers as the reference does."""

    def test_the_store_answers_as_the_reference_does(self) -> None:
        """Every answer, every log entry and every task, after every step."""
        examples = int(os.environ.get("STORE_MACHINE_EXAMPLES", "50"))
        run_machine(self, examples, int(os.environ.get("STORE_MACHINE_STEPS", "50")))
