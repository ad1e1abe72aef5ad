"""Servers whose descriptors would cost a worker its memory or its time, each a real one."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionResponse

from dsched.contracts import TaskFailed
from dsched_executor_grpc import executor as executor_module

METHOD = "shop.Shop/Buy"
MEBIBYTE = 1024 * 1024


def a_file(name: str = "shop.proto") -> FileDescriptorProto:
    """A file with the service that is called, and nothing else that is costly."""
    file = FileDescriptorProto(name=name, package="shop", syntax="proto3")
    file.message_type.add(name="Order")
    service = file.service.add(name="Shop")
    service.method.add(name="Buy", input_type=".shop.Order", output_type=".shop.Order")
    return file


def many_types(count: int = 300_000) -> list[FileDescriptorProto]:
    file = a_file()
    for number in range(count):
        file.message_type.add(name=f"M{number:x}")
    return [file]


def many_values(count: int = 250_000) -> list[FileDescriptorProto]:
    file = a_file()
    values = file.enum_type.add(name="E")
    for number in range(count):
        values.value.add(name=f"V{number:x}", number=number)
    return [file]


def one_wide_message(count: int = 30_000) -> list[FileDescriptorProto]:
    """Each field of a message of its own: to add it takes the square of their number."""
    file = a_file()
    order = file.message_type[0]
    for number in range(count):
        file.message_type.add(name=f"M{number:x}")
        field = number + 1 if number < 18_999 else number + 1001
        order.field.add(
            name=f"f{number:x}", number=field, type=11, label=1, type_name=f".shop.M{number:x}"
        )
    return [file]


def a_long_chain(count: int = 3000) -> list[FileDescriptorProto]:
    file = a_file()
    order = file.message_type[0]
    order.field.add(name="next", number=1, type=11, label=1, type_name=".shop.M0")
    for number in range(count):
        one = file.message_type.add(name=f"M{number:x}")
        if number + 1 < count:
            one.field.add(
                name="next", number=1, type=11, label=1, type_name=f".shop.M{number + 1:x}"
            )
    return [file]


def nothing_but_entries(count: int = 1_000_000) -> list[FileDescriptorProto]:
    return [FileDescriptorProto()] * count


def many_imports(count: int = 60_000) -> list[FileDescriptorProto]:
    file = a_file()
    file.dependency.extend(f"{number:x}.proto" for number in range(count))
    return [file]


COSTLY = {
    "types": many_types, "values": many_values, "fields": one_wide_message,
    "chain": a_long_chain, "entries": nothing_but_entries, "imports": many_imports,
}  # fmt: skip


def answers(contents: list[bytes]) -> Any:
    """Server reflection that sends all of these, whatever it is asked for."""
    answer = ServerReflectionResponse()
    answer.file_descriptor_response.file_descriptor_proto.extend(contents)

    async def handle(requests: Any, context: Any) -> Any:
        async for _ in requests:
            yield answer

    return handle


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Stalls:
    """How long the loop has stood still at most."""

    worst_s = 0.0

    async def watch(self) -> None:
        while True:
            began_s = time.monotonic()
            await asyncio.sleep(0.005)
            self.worst_s = max(self.worst_s, time.monotonic() - began_s - 0.005)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("make", COSTLY.values(), ids=COSTLY.keys())
async def test_descriptors_that_cost_too_much_are_refused_before_they_do(
    make: Any, start_target: Any, open_grpc: Any, run: Any
) -> None:
    contents = [file.SerializeToString() for file in make()]
    target = await start_target(reflects=answers(contents))
    executor = await open_grpc(max_message_bytes=16 * MEBIBYTE)
    stalls = Stalls()
    watching = asyncio.create_task(stalls.watch())
    before = resident_bytes()
    with pytest.raises(TaskFailed) as refused:
        await run(executor, {"target": target.address, "method": METHOD})
    watching.cancel()
    assert (refused.value.code, refused.value.retryable) == ("invalid_descriptors", False)
    assert resident_bytes() - before < 200 * MEBIBYTE
    assert stalls.worst_s < 1.0


async def test_what_is_kept_of_all_servers_together_is_bounded(
    start_target: Any, open_grpc: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = await open_grpc()
    kept = executor._schemas
    for number in range(4):
        target = await start_target()
        await run(executor, {"target": target.address, "method": "shop.Orders/Close"})
        if number == 0:
            monkeypatch.setattr(executor_module, "MAX_KEPT_DEFINITIONS", 2 * kept.definitions)
    assert len(kept) == 2
    assert kept.definitions <= executor_module.MAX_KEPT_DEFINITIONS


async def test_a_large_api_within_the_bounds_is_called(
    start_target: Any, open_grpc: Any, run: Any
) -> None:
    """With some thousand types, of which the method's lead to many."""
    file = a_file()
    order = file.message_type[0]
    order.field.add(name="first", number=1, type=11, label=1, type_name=".shop.M0")
    for number in range(3000):
        one = file.message_type.add(name=f"M{number:x}")
        for place in range(1, 9):
            one.field.add(name=f"f{place}", number=place, type=5, label=1)
        if number < 300:
            one.field.add(
                name="next", number=9, type=11, label=1, type_name=f".shop.M{number + 1:x}"
            )
    target = await start_target(reflects=answers([file.SerializeToString()]))
    executor = await open_grpc()
    payload = {"target": target.address, "method": METHOD, "request": {"first": {"f1": 3}}}
    with pytest.raises(TaskFailed) as failed:
        await run(executor, payload)
    assert failed.value.code == "unimplemented"  # it was called: the server has no such method
