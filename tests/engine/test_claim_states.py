"""The claim loop's states: which one follows which, as a table, and that no others do."""

from itertools import product

import pytest

from dsched.engine.worker.claiming import ClaimEvent, ClaimFacts, ClaimState, following

CLAIM, REPEAT, PARK, REST, STOPPED = ClaimState
MORE, ALL, UNANSWERED, RESTED = ClaimEvent

FREE = ClaimFacts(room=3)
LISTENED = ClaimFacts(room=3, claims_may_wait=False)
UNTRUSTED = ClaimFacts(room=3, claims_may_wait=False, trusted=False)
OPEN = ClaimFacts(room=3, answered=False)
FULL = ClaimFacts(room=0)
CUT_OFF = ClaimFacts(room=0, answered=False)
STOPPING = ClaimFacts(room=3, stopping=True)

TABLE = (
    # There may be more: ask at once.
    (CLAIM, MORE, FREE, CLAIM),
    (CLAIM, MORE, UNTRUSTED, CLAIM),
    (REPEAT, MORE, FREE, CLAIM),
    (PARK, MORE, FREE, CLAIM),
    # There is no more: wait in the store, where the wake-up is heard and will come.
    (CLAIM, ALL, FREE, PARK),
    (CLAIM, ALL, LISTENED, REST),
    (CLAIM, ALL, UNTRUSTED, REST),
    (REPEAT, ALL, FREE, PARK),
    (REPEAT, ALL, LISTENED, REST),
    (PARK, ALL, FREE, PARK),
    (PARK, ALL, UNTRUSTED, CLAIM),
    # What has no answer is sent again, and nothing else, as long as there is room.
    (PARK, UNANSWERED, OPEN, REPEAT),
    (REST, RESTED, OPEN, REPEAT),
    (PARK, UNANSWERED, CUT_OFF, REST),
    (REST, RESTED, CUT_OFF, REST),
    # A rest ends in a claim, if there is room.
    (REST, RESTED, FREE, CLAIM),
    (REST, RESTED, LISTENED, CLAIM),
    (REST, RESTED, FULL, REST),
    (CLAIM, MORE, FULL, REST),
    (CLAIM, ALL, FULL, REST),
    (REPEAT, ALL, FULL, REST),
    (PARK, ALL, FULL, REST),
)


@pytest.mark.parametrize(("state", "event", "facts", "expected"), TABLE)
def test_the_state_that_follows_is_the_one_of_the_table(state, event, facts, expected):
    assert following(state, event, facts) is expected


@pytest.mark.parametrize(("state", "event"), sorted({(row[0], row[1]) for row in TABLE}))
def test_a_loop_that_stops_does_so_from_each_state(state, event):
    assert following(state, event, STOPPING) is STOPPED


def test_no_claim_is_asked_for_before_the_latest_is_answered_or_without_room():
    facts = (
        ClaimFacts(room=room, answered=answered, claims_may_wait=may_wait, trusted=trusted)
        for room, answered, may_wait, trusted in product((0, 1), *[(True, False)] * 3)
    )
    for state, event, fact in product((CLAIM, REPEAT, PARK, REST), ClaimEvent, facts):
        then = following(state, event, fact)
        if not fact.room:
            assert then is REST
        elif not fact.answered:
            assert then is REPEAT
