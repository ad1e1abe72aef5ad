"""All scenarios of the sweep: those that these modules define."""

from dsched_testkit.sweep import (
    scenarios,
    scenarios_of_bulk,
    scenarios_of_callbacks,
    scenarios_of_configs,
    scenarios_of_limits,
    scenarios_of_operators,
    scenarios_of_runs,
)
from dsched_testkit.sweep.play import Scenario

SCENARIOS: tuple[Scenario, ...] = tuple(
    one
    for module in (
        scenarios,
        scenarios_of_bulk,
        scenarios_of_callbacks,
        scenarios_of_configs,
        scenarios_of_limits,
        scenarios_of_operators,
        scenarios_of_runs,
    )
    for one in vars(module).values()
    if isinstance(one, Scenario)
)
