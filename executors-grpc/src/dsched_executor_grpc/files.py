"""Reads the files that a task may name, from the directories that the operator has set."""

from dsched.contracts import TaskFailed
from dsched.contracts.executor.files import FileError, read_file
from dsched_executor_grpc.options import SECTION

MAX_SET_BYTES = 4 * 1024 * 1024
MAX_TLS_BYTES = 1024 * 1024


def read_set(directory: str, name: str) -> bytes:
    """The content of a descriptor set; blocks. Raises a `TaskFailed` like `read_pem`."""
    return _read(directory, name, option="descriptor_dir", most=MAX_SET_BYTES)


def read_pem(directory: str, name: str) -> bytes:
    """The content of a PEM file, or nothing when ``name`` is empty; blocks.

    Raises a `TaskFailed` that names the option to set or the file that cannot be used.
    """
    if not name:
        return b""
    content = _read(directory, name, option="tls_dir", most=MAX_TLS_BYTES)
    if b"-----BEGIN " not in content:
        raise unusable(f"{name!r} under {SECTION}.tls_dir is not a PEM file")
    return content


def _read(directory: str, name: str, *, option: str, most: int) -> bytes:
    try:
        return read_file(directory, name, option=f"{SECTION}.{option}", max_bytes=most)
    except FileError as error:
        raise unusable(str(error), passing=error.passing) from None


def unusable(message: str, *, passing: bool = False) -> TaskFailed:
    """The failure of a payload that cannot be used: final, unless a disk has a passing fault."""
    code = "unreadable_file" if passing else "invalid_payload"
    return TaskFailed(message, code=code, retryable=passing)
