"""What a function returned, as a result: checked and written once, within the bounds of all of
it."""

import json
from collections import OrderedDict

import pytest

from dsched.contracts.executor import TaskFailed
from dsched.contracts.store.codec import write_result
from dsched.model import TaskResult
from dsched.model.json import MAX_RESULT_BYTES
from dsched_executor_local.results import result_of


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"a": [1, None]}, {"a": [1, None]}),
        ((1, (2,)), [1, [2]]),
        (OrderedDict(b=1, a=()), {"a": [], "b": 1}),
        (1e22, 1e22),
        (2**80, 2**80),
        (False, False),
    ],
)
def test_a_result_is_made_of_plain_types_and_is_checked(value, data):
    result = result_of(value, "f")
    assert result == TaskResult(data=data)
    assert type(result.data) is type(data)
    assert result.checked
    assert json.loads(write_result(result))["data"] == data


def test_code_and_message_stay_with_the_data():
    result = result_of(TaskResult(code="200", message="fine", data=(1,)), "f")
    assert result == TaskResult(code="200", message="fine", data=[1])
    assert write_result(result) == '{"code":"200","data":[1],"message":"fine","v":1}'


@pytest.mark.parametrize(("code", "message"), [("ok", ""), ("ok", "é"), ("200", "m" * 1000)])
def test_the_bound_holds_for_code_message_and_data_together(code, message):
    around = len(json.dumps({"code": code, "message": message, "data": ""}, separators=(",", ":"),
                            ensure_ascii=False).encode())  # fmt: skip
    room = MAX_RESULT_BYTES - around
    assert result_of(TaskResult(code=code, message=message, data="x" * room), "f").checked
    with pytest.raises(TaskFailed, match=rf"{MAX_RESULT_BYTES + 1} bytes|larger than"):
        result_of(TaskResult(code=code, message=message, data="x" * (room + 1)), "f")


@pytest.mark.parametrize("value", [object(), [{1}], float("nan"), "\ud800", {1: 2}, b"x"])
def test_what_json_cannot_carry_fails_for_good_and_names_the_function(value):
    with pytest.raises(
        TaskFailed, match=r"function 'f' returned what cannot be kept: result"
    ) as one:
        result_of(value, "f")
    assert (one.value.code, one.value.retryable) == ("result", False)
