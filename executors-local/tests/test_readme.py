"""The README's example is run as it stands, and its table of options is complete."""

import re
import sys
from pathlib import Path

import attrs
import pytest
import yaml
from dsched_local_test_kit import Context, Run, make_task

from dsched.contracts import TaskFailed
from dsched.functions.registry import REGISTRY
from dsched_executor_local.options import LocalOptions
from dsched_executor_local.plugin import check_payload, open_local

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1]


@pytest.mark.slow
async def test_the_example_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "myapp.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(REGISTRY, "_functions", {})  # its names may be other tests' too
    [task] = yaml.safe_load(block("yaml"))["tasks"]
    context = Context()
    async with open_local(LocalOptions(app=("myapp",))) as executor:
        assert check_payload(task["payload"]) == []
        greeting = await executor.execute(context, make_task(task["payload"]))
        assert greeting.data == "Hello, Ada!"
        run = Run(executor)  # type: ignore[arg-type]
        assert (await run("poll", context=context)).data == {"polled": 3}
        assert context.said[-1] == (3, 3, "")
        assert (await run("crunch", {"numbers": [1, 2, 3]})).data == 14
        with pytest.raises(TaskFailed, match="nothing to crunch"):
            await run("crunch", [[]])
    del sys.modules["myapp"]


def test_every_option_is_in_the_table() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) - {"function", "args"}
    assert documented == {field.name for field in attrs.fields(LocalOptions)}
