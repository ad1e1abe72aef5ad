"""Reads the files that a task may name, from the directories that the operator has set."""

from pathlib import Path

from dsched.contracts import TaskFailed

MAX_SET_BYTES = 4 * 1024 * 1024
MAX_TLS_BYTES = 1024 * 1024


def read_bounded(directory: str, name: str, *, option: str, most: int) -> bytes:
    """The bytes of ``name`` under ``directory``; blocks, so call it in a thread.

    Links are followed only while they stay inside. Raises a `TaskFailed` that names the option to
    set or the file that is missing; only a passing trouble of the disk is worth a retry.
    """
    key = f"executors.grpc.{option}"
    if not directory:
        raise _unusable(
            f"the payload names the file {name!r}, but this worker has no directory for it; "
            f"set {key}"
        )
    root = Path(directory).resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise _unusable(f"{name!r} lies outside of {key}; put the file there")
    if not path.is_file():
        raise _unusable(f"there is no file {name!r} under {key} on this worker")
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise TaskFailed(
            f"{name!r} under {key} cannot be read: {error.strerror}", code="unreadable_file"
        ) from error
    if len(content) > most:
        raise _unusable(f"{name!r} under {key} is larger than {most} bytes")
    return content


def read_pem(directory: str, name: str) -> bytes:
    """The content of a PEM file, or nothing when ``name`` is empty; blocks."""
    if not name:
        return b""
    content = read_bounded(directory, name, option="tls_dir", most=MAX_TLS_BYTES)
    if b"-----BEGIN " not in content:
        raise _unusable(f"{name!r} under executors.grpc.tls_dir is not a PEM file")
    return content


def _unusable(message: str) -> TaskFailed:
    return TaskFailed(message, code="invalid_payload", retryable=False)
