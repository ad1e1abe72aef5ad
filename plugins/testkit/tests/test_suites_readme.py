"""The README's example is a working test module."""

import asyncio
import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_example_of_the_readme_runs(monkeypatch):
    monkeypatch.setenv("STORE_MACHINE_EXAMPLES", "2")
    example = EXAMPLES[0]
    names: dict[str, type] = {}
    exec(example, names)
    asyncio.run(names["TestMyStore"]().test_a_lost_lease_completes_nothing())
    names["TestMyStoreByMachine"]().test_the_store_answers_as_the_reference_does()


def test_the_scenario_of_the_readme_is_swept():
    names: dict[str, object] = {}
    exec(EXAMPLES[1], names)
    names["test_two_tasks_end_whatever_breaks"]()


def test_the_environment_variables_of_the_readme_are_those_of_the_machine():
    from dsched_testkit.suites import machine

    source = Path(machine.__file__).read_text()
    for name, default in re.findall(r"\| `(DSCHED_\w+)` \| (\w+) \|", README):
        assert f'"{name}"' in source
        assert default == "unset" or f'"{name}", "{default}"' in source
