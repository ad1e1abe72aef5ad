"""Entries become the batches in which the API takes them, while they are still being read."""

from collections.abc import Iterator

from dsched_cli.putting import Wanted, batches_of
from dsched_client.batches import MAX_BYTES


def wanted(number: int, origin: str = "file:a", *, size: int = 20, adopt: bool = False) -> Wanted:
    return Wanted(id=f"c{number}", text=b"x" * size, origin=origin, adopt=adopt)


def test_entries_are_cut_into_batches_by_number_and_size():
    small = [wanted(number) for number in range(250)]
    found = list(batches_of(small))
    assert [len(one) for one in found] == [100, 100, 50]
    assert [entry for one in found for entry in one] == small
    sizes = [300_000] * 5 + [MAX_BYTES] * 2
    large = [wanted(number, size=size) for number, size in enumerate(sizes)]
    assert [len(one) for one in batches_of(large)] == [2, 2, 1, 1, 1]
    assert list(batches_of([])) == []


def test_entries_of_several_origins_by_turns_fill_their_batches_all_the_same():
    mixed = [
        wanted(number, f"file:{'abc'[number % 3]}", adopt=number % 3 == 2) for number in range(600)
    ]
    found = list(batches_of(mixed))
    assert [len(one) for one in found] == [100] * 6
    for batch in found:
        assert len({(one.origin, one.adopt) for one in batch}) == 1
        assert batch == sorted(batch, key=lambda one: int(one.id[1:]))
    assert {one.id for batch in found for one in batch} == {one.id for one in mixed}


def test_a_batch_is_there_before_the_entries_after_it_are_read():
    read = []

    def reading() -> Iterator[Wanted]:
        for number in range(1_000):
            read.append(number)
            yield wanted(number)

    first = next(batches_of(reading()))
    assert len(first) == 100
    assert len(read) == 101
