"""What may be said of the list of a step, how it is refused, and how it is stored."""

from typing import Any

import pytest

from dsched.contracts.store.codec import read_spec, write_spec
from dsched.model import InvalidConfigError, Member, Step, TaskSpec, TemplateError, Workflow
from dsched.model.for_each import MAX_ITEMS, items_of
from dsched.model.templates import look_up
from dsched.planning.runs import member_spec

PARAMS: Any = {
    "tables": {"type": "list", "default": []},
    "day": {"type": "string", "default": "x"},
    "deep": {"type": "object", "default": {}},
}


def step(step_id: str, *needs: str, **more: Any) -> Step:
    return Step(id=step_id, executor="local", needs=needs, **more)


def flow(for_each: Any, **more: Any) -> Workflow:
    steps = [step("a"), step("alone"), step("b", "a"), step("c", "b", for_each=for_each, **more)]
    return Workflow(steps=steps, params=PARAMS)


@pytest.mark.parametrize(
    "for_each",
    [
        [],
        ["a", 1, None, {"b": [2]}],
        ["${params.day}", "$${literal"],
        ("a", "b"),
        "${needs.b.data}",
        "${needs.a.data.tables.0}",
        "${params.tables}",
        "${params.tables.0}",
        "${params.deep.tables}",
        list(range(MAX_ITEMS)),
    ],
)
def test_a_list_or_one_reference_to_what_comes_before_is_taken(for_each: Any) -> None:
    found = flow(for_each, max_parallel=3, payload={"of": "${item}", "at": "${shard.index}"})
    kept = found.steps[-1].for_each
    assert kept == (list(for_each) if isinstance(for_each, tuple) else for_each)
    spec = TaskSpec(
        executor="workflow", workflow=found, param_values={"tables": [], "day": "x", "deep": {}}
    )
    assert read_spec(write_spec(spec)).workflow == found


@pytest.mark.parametrize(
    ("for_each", "said"),
    [
        ("tables", "'tables' is no list; write a list, or one reference"),
        ("all of ${needs.b.data}", "is no list"),
        ("$${needs.b.data}", "is no list"),
        ("${needs.b.data", "is not closed"),
        (3, "must be a list"),
        ({"a": 1}, "must be a list"),
        (True, "must be a list"),
        (list(range(MAX_ITEMS + 1)), "has 1001 items; at most 1000"),
        (["x" * 300_000], "larger than the 262144 bytes"),
        (["secret://env/KEY"], "mentions a secret"),
        ([{1: 2}], "a key that is not a string"),
        ("${needs.alone.data}", "does not need 'alone'"),
        ("${needs.b.rows}", "names nothing"),
        ("${params.nothing}", "params declares no 'nothing'"),
        ("${params.day}", "is of the type string, no list"),
        ("${params.day.0}", "is of the type string, no list"),
        ("${params.deep}", "is of the type object, no list"),
        ("${fire.date}", "is one value, no list"),
        ("${item}", "is not known before there are members"),
        (["${shard.index}"], "is not known before there are members"),
        (["${attempt}"], "is not known before there are members"),
    ],
)
def test_what_can_be_no_list_is_refused_where_it_is_declared(for_each: Any, said: str) -> None:
    with pytest.raises(InvalidConfigError) as error:
        flow(for_each)
    assert error.value.field.endswith("for_each")
    assert said in error.value.reason


def test_an_item_is_there_only_where_there_is_a_list() -> None:
    with pytest.raises(InvalidConfigError, match="where a step has for_each"):
        Workflow(steps=[step("a", shards=2, payload="${item}")])
    with pytest.raises(InvalidConfigError, match="where a step has for_each"):
        TaskSpec(executor="local", payload="${item.a}", workflow=Workflow(shards=2))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"for_each": [1], "shards": 2}, "for_each"),
        ({"for_each": [1], "max_parallel": 0}, "max_parallel"),
        ({"max_parallel": 2}, "max_parallel"),
    ],
)
def test_a_list_goes_with_max_parallel_and_not_with_shards(fields: Any, field: str) -> None:
    with pytest.raises(InvalidConfigError) as error:
        step("a", **fields)
    assert error.value.field == field


def test_items_count_to_the_size_of_a_workflow() -> None:
    steps = [step(f"s{at}", for_each=["x" * 200_000]) for at in range(2)]
    with pytest.raises(InvalidConfigError, match="payloads and lists"):
        Workflow(steps=steps)


SCOPE = {"needs": {"a": {"data": {"rows": [1, 2], "name": "x", "long": list(range(1001))}}}}


@pytest.mark.parametrize(
    ("for_each", "items"),
    [
        ("${needs.a.data.rows}", [1, 2]),
        (["${needs.a.data.name}", "$${x}", 3], ["x", "${x}", 3]),
        ([], []),
    ],
)
def test_a_list_is_resolved_to_its_items(for_each: Any, items: Any) -> None:
    assert items_of(for_each, lambda path: look_up(SCOPE, path)) == items


@pytest.mark.parametrize(
    ("for_each", "said"),
    [
        ("${needs.a.data.name}", "is a str, and for_each needs a list"),
        ("${needs.a.data}", "is a dict, and for_each needs a list"),
        ("${needs.a.data.lines}", "names nothing"),
        ("${needs.a.data.long}", r"${needs.a.data.long} has 1001 items; at most 1000"),
    ],
)
def test_what_turns_out_to_be_no_list_is_told(for_each: Any, said: str) -> None:
    with pytest.raises(TemplateError) as error:
        items_of(for_each, lambda path: look_up(SCOPE, path))
    assert said in str(error.value)


def test_a_member_keeps_its_item_and_what_later_steps_read_of_how_many() -> None:
    found = Workflow(
        steps=[
            step("each", for_each=["a", {"k": None}, None], payload="${item}"),
            step("last", "each", payload="${needs.each.data}"),
        ]
    )
    spec = TaskSpec(executor="workflow", workflow=found)
    items = found.steps[0].for_each
    for at, item in enumerate(items):
        member = member_spec(spec, "each", at, instant_ms=5, items=items)
        assert member.member == Member(step="each", index=at, total=3, instant_ms=5, item=item)
        assert read_spec(write_spec(member)) == member
    last = member_spec(spec, "last", None, instant_ms=5, parts={"each": 3})
    assert last.member is not None
    assert last.member.needs == {"each": 3}
    empty = member_spec(spec, "last", None, instant_ms=5, parts={"each": 0})
    assert empty.member is not None
    assert empty.member.needs == {"each": -1}


def test_what_has_no_list_is_stored_as_before_to_the_byte() -> None:
    found = Workflow(steps=[step("a"), step("b", "a", shards=2, max_parallel=1)])
    spec = TaskSpec(executor="workflow", workflow=found)
    assert "for_each" not in write_spec(spec)
    assert "item" not in write_spec(member_spec(spec, "b", 1, instant_ms=5))
