"""Where an interrupt comes from: a signal's ends the program, user code's ends its attempt."""

import dis
import functools
import inspect
import signal
from types import CodeType, TracebackType


def is_of_a_signal(error: BaseException) -> bool:
    """Whether the program's handler of SIGINT raised this `KeyboardInterrupt`, whatever it
    interrupted; False for code that says ``raise KeyboardInterrupt``.
    """
    if not isinstance(error, KeyboardInterrupt):
        return False
    handler = signal.getsignal(signal.SIGINT)
    trace = error.__traceback__
    if trace is None:
        return True  # nobody knows; an operator must not be ignored
    if handler is signal.default_int_handler:
        # The handler has no frame of its own: the innermost frame is the code that it interrupted.
        return not _says_raise(_innermost(trace))
    code = _code_of(handler)
    while trace is not None:
        if trace.tb_frame.f_code is code:
            return True
        trace = trace.tb_next
    return False


def _innermost(trace: TracebackType) -> TracebackType:
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def _says_raise(trace: TracebackType) -> bool:
    """Whether the instruction that raised is a ``raise``: no handler runs within one."""
    instruction = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    return dis.opname[instruction] in ("RAISE_VARARGS", "RERAISE")


def _code_of(handler: object) -> CodeType | None:
    while isinstance(handler, functools.partial):  # as that of `asyncio.run`
        handler = handler.func
    code = getattr(inspect.unwrap(handler), "__code__", None) if callable(handler) else None
    return code if isinstance(code, CodeType) else None
