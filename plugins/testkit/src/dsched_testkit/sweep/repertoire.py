"""All scenarios of the sweep."""

from dsched_testkit.sweep.play import Scenario
from dsched_testkit.sweep.scenarios import TASKS
from dsched_testkit.sweep.scenarios_of_configs import CONFIGS
from dsched_testkit.sweep.scenarios_of_operators import OPERATORS

SCENARIOS: tuple[Scenario, ...] = (*TASKS, *CONFIGS, *OPERATORS)
