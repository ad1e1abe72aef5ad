"""Requests that are sent ahead: in order, no more than may be, and none of their errors lost."""

import threading

import pytest

from dsched_cli.sending import answers


class Server:
    """Answers a request when it is told to, and notes how many wait."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.free = threading.Semaphore(0)
        self.new = threading.Condition()

    def send(self, request: int) -> int:
        with self.new:
            self.asked.append(request)
            self.new.notify_all()
        assert self.free.acquire(timeout=20)
        if request == 3:
            raise ValueError("three is refused")
        return request * 10

    def wait_for(self, count: int) -> None:
        with self.new:
            assert self.new.wait_for(lambda: len(self.asked) >= count, timeout=20)


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_answers_come_in_the_order_of_their_requests(ahead: int) -> None:
    server = Server()
    for _ in range(3):
        server.free.release()
    found = [(one, answer()) for one, answer in answers(server.send, [2, 0, 1], ahead=ahead)]
    assert found == [(2, 20), (0, 0), (1, 10)]


def test_while_one_is_awaited_only_so_many_more_are_sent() -> None:
    server, taken = Server(), []

    def requests():
        for one in range(10):
            taken.append(one)
            yield one

    going = answers(server.send, requests(), ahead=1)
    _, first = next(going)
    server.wait_for(2)
    assert taken == [0, 1]
    server.free.release(2)
    assert first() == 0
    next(going)
    server.wait_for(3)
    assert taken == [0, 1, 2]
    server.free.release(10)


def test_without_any_ahead_a_request_is_sent_when_the_one_before_is_answered() -> None:
    server = Server()
    going = answers(server.send, [1, 2], ahead=0)
    _, first = next(going)
    server.wait_for(1)
    server.free.release()
    assert first() == 10
    assert server.asked == [1]
    _, second = next(going)
    server.free.release()
    assert second() == 20


def test_an_error_is_told_where_its_answer_is_awaited_and_the_others_go_on() -> None:
    server = Server()
    server.free.release(3)
    told = []
    for request, answer in answers(server.send, [1, 3, 5], ahead=1):
        try:
            told.append((request, answer()))
        except ValueError as error:
            told.append((request, str(error)))
    assert told == [(1, 10), (3, "three is refused"), (5, 50)]
