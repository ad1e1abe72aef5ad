"""The README agrees with the code."""

import re
from pathlib import Path

import attrs
import pytest
import yaml

from dsched.contracts.executor.egress import EgressPolicy
from dsched_executor_grpc.options import GrpcOptions
from dsched_executor_grpc.payload import check_payload

README = (Path(__file__).parent.parent / "README.md").read_text()


@pytest.fixture(scope="module")
def examples():
    config, tasks = (
        yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    )
    return GrpcOptions(**config["executors"]["grpc"]), tasks["tasks"][0]["payload"]


def test_the_example_is_valid_and_allowed(examples):
    options, payload = examples

    assert check_payload(payload) == []
    EgressPolicy(options.allow, "executors.grpc.allow").check_address("127.0.0.1", "127.0.0.1")


async def test_the_example_runs(examples, target, open_grpc, run):
    options, payload = examples
    executor = await open_grpc(allow=options.allow)

    result = await run(executor, {**payload, "target": target.address})

    assert result.data == payload["request"]


def test_every_option_is_in_the_table():
    section = README.partition("## Options")[2].partition("## Payload")[0]

    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == [
        field.name for field in attrs.fields(GrpcOptions)
    ]
