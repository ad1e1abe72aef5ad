"""How errors speak of names: what was meant is offered, and nothing harms a terminal."""

from dsched.wording import did_you_mean, printable, unknown_keys

KNOWN = ("url", "method", "headers")


def test_the_closest_name_is_offered_or_else_all_there_are():
    assert did_you_mean("metod", KNOWN) == "did you mean 'method'?"
    assert did_you_mean("zzz", KNOWN) == "there is headers, method, url"
    assert did_you_mean("zzz", ()) == "there is none"


def test_each_unknown_key_is_a_problem_that_says_where_it_stands():
    assert unknown_keys({"url": 1, "method": 2}, KNOWN) == []
    assert unknown_keys({"ulr": 1, 7: 2}, KNOWN, "call.") == [
        "call.ulr: is not a known key; did you mean 'url'?",
        "call.7: is not a known key; there is headers, method, url",
    ]


def test_a_hostile_key_is_shown_short_and_without_control_characters():
    shown = printable("\x1b[31m\n\udc00" + "x" * 1000)

    assert shown.startswith(r"\x1b[31m\n\udc00xxx")
    assert len(shown) < 100
    assert shown.isprintable()


def test_of_thousands_of_unknown_keys_the_first_are_compared_and_the_rest_counted():
    found = unknown_keys({f"urk{number}": 1 for number in range(5000)}, KNOWN, "call.")
    assert len(found) == 21
    assert found[0].startswith("call.urk0: is not a known key;")
    assert found[-1] == "call: has 4980 more keys that are not known"
