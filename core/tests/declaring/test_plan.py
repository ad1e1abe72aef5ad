"""The plan of an origin's configs, as a function of what is stored and what is wanted."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.declaring import Conflict, Present, plan_declaration

MINE, THEIRS = "file:mine", "code:theirs"


def held(config_id, content=1, origin=MINE, **more):
    return Present(id=config_id, origin=origin, content=content, **more)


def test_new_changed_and_equal_configs_are_told_apart():
    plan = plan_declaration([held("b"), held("c")], {"a": 1, "b": 2, "c": 1}, origin=MINE)
    assert (plan.create, plan.change, plan.unchanged) == (("a",), ("b",), ("c",))
    assert not plan.changes_nothing


def test_equal_sets_change_nothing():
    assert plan_declaration([held("a")], {"a": 1}, origin=MINE).changes_nothing


def test_what_vanished_is_orphaned_or_deleted_or_left_alone():
    stored = [held("a"), held("b", paused=True), held("c", paused=True, orphaned=True)]
    assert plan_declaration(stored, {}, origin=MINE).orphan == ("a",)
    pruned = plan_declaration(stored, {}, origin=MINE, prune=True)
    assert (pruned.delete, pruned.orphan) == (("a", "b", "c"), ())
    assert plan_declaration(stored, {}, origin=MINE, orphan=False).changes_nothing


def test_what_reappears_is_resumed_only_if_it_was_paused_for_vanishing():
    stored = [held("a", paused=True, orphaned=True), held("b", paused=True)]
    plan = plan_declaration(stored, {"a": 2, "b": 1}, origin=MINE)
    assert (plan.change, plan.resume, plan.unchanged) == (("a",), ("a",), ("b",))


def test_an_adopted_orphan_of_another_origin_is_resumed_too():
    stored = [held("a", origin=THEIRS, paused=True, orphaned=True)]
    plan = plan_declaration(stored, {"a": 1}, origin=MINE, adopt=True)
    assert (plan.adopt, plan.resume) == (("a",), ("a",))


def test_what_another_origin_declares_is_a_conflict_unless_adopted():
    stored = [held("a", origin=THEIRS), held("b", origin="api", content=2)]
    plan = plan_declaration(stored, {"a": 1, "b": 1}, origin=MINE)
    assert plan.conflicts == (Conflict(id="a", origin=THEIRS), Conflict(id="b", origin="api"))
    assert plan.changes_nothing
    assert plan_declaration(stored, {"a": 1, "b": 1}, origin=MINE, adopt=True).adopt == ("a", "b")


def test_equal_content_of_the_api_is_adopted_since_it_may_be_older_than_origins():
    plan = plan_declaration([held("a", origin="api")], {"a": 1}, origin=MINE)
    assert (plan.adopt, plan.conflicts) == (("a",), ())


IDS = st.sampled_from("abcd")
PRESENT = st.builds(
    Present,
    id=IDS,
    origin=st.sampled_from([MINE, THEIRS, "api"]),
    content=st.integers(0, 1),
    paused=st.booleans(),
)


@settings(deadline=None)
@given(
    st.lists(PRESENT, unique_by=lambda one: one.id),
    st.dictionaries(IDS, st.integers(0, 1)),
    st.booleans(),
    st.booleans(),
)
def test_carrying_out_a_plan_leaves_nothing_to_do_and_never_touches_another_origin(
    stored, wanted, adopt, prune
):
    plan = plan_declaration(stored, wanted, origin=MINE, adopt=adopt, prune=prune)
    after = {one.id: one for one in stored if one.id not in plan.delete}
    for config_id in (*plan.create, *plan.change, *plan.adopt):
        after[config_id] = held(config_id, wanted[config_id])
    for config_id in plan.orphan:
        after[config_id] = held(config_id, after[config_id].content, paused=True, orphaned=True)
    again = plan_declaration(after.values(), wanted, origin=MINE, adopt=adopt, prune=prune)
    assert again.changes_nothing
    assert again.conflicts == plan.conflicts
    assert sorted(wanted) == sorted([*again.unchanged, *(one.id for one in again.conflicts)])
    touched = {*plan.change, *plan.orphan, *plan.delete}
    assert all(one.origin == MINE for one in stored if one.id in touched)
