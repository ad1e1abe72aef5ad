"""Requests of which some are on the way while the answer to one is awaited."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from threading import Semaphore, Thread
from typing import TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


def answers(
    send: Callable[[Q], A], requests: Iterable[Q], *, ahead: int, at_once: int | None = None
) -> Iterator[tuple[Q, Callable[[], A]]]:
    """Each request in its order, with what waits for its answer, or raises what ``send`` raised.

    ``ahead`` more are sent meanwhile, ``at_once`` at the same time (None: all of them); of those
    ahead nothing is told if nobody goes on.
    """
    lanes = Semaphore(ahead + 1 if at_once is None else at_once)
    sent: deque[tuple[Q, Future[A]]] = deque()
    for request in requests:
        sent.append((request, _sent(send, request, lanes)))
        if len(sent) > ahead:
            asked, future = sent.popleft()
            yield asked, future.result
    for asked, future in sent:
        yield asked, future.result


def _sent(send: Callable[[Q], A], request: Q, lanes: Semaphore) -> "Future[A]":
    """A thread that does not keep a command that is interrupted from ending."""
    future: Future[A] = Future()

    def run() -> None:
        try:
            with lanes:
                future.set_result(send(request))
        except BaseException as error:  # noqa: BLE001 - told where the answer is awaited
            future.set_exception(error)

    Thread(target=run, daemon=True, name="dsched-sending").start()
    return future
