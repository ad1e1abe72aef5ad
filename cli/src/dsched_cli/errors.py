"""What a command ends with: exit codes, and errors that say what, why and what to do."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The answers a script can rely on."""

    OK = 0
    FAILED = 1  # the thing asked about failed
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    CONFLICT = 5  # or a precondition that does not hold
    DIFFERENT = 6
    UNREACHABLE = 7
    PARTLY = 8
    TIMED_OUT = 124
    INTERRUPTED = 130


class CliError(Exception):
    """An error for the reader: one line what, one line why, one line what to do about it."""

    def __init__(self, what: str, *, why: str = "", todo: str = "", code: ExitCode) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.todo = todo
        self.code = code


class UsageError(CliError):
    """Something was asked for in a way that cannot be meant."""

    def __init__(self, what: str, *, why: str = "", todo: str = "") -> None:
        super().__init__(what, why=why, todo=todo, code=ExitCode.USAGE)


class ApiError(CliError):
    """The server refused; ``problem`` is its RFC 9457 document."""

    def __init__(
        self,
        problem: dict[str, object],
        what: str,
        *,
        why: str = "",
        todo: str = "",
        code: ExitCode,
    ) -> None:
        super().__init__(what, why=why, todo=todo, code=code)
        self.problem = problem

    @property
    def kind(self) -> str:
        """The stable code of the problem, such as ``not_found``."""
        return str(self.problem.get("code", ""))
