"""Files that a task may name: only from a directory of the operator's, and of bounded size."""

import errno
import os
import stat
from pathlib import Path


class FileError(Exception):
    """A file that cannot be used; the message names it and the option, never the directory.

    ``passing``: the disk had a fault, so another attempt may well succeed.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


def find_file(directory: str, name: str, *, option: str) -> Path:
    """Where the regular file ``name`` lies under ``directory``, all links followed; blocks.

    ``option`` is the full key of the directory (``executors.http.tls_dir``), which errors print.
    Raises `FileError` if no directory is set, and for a file that is missing, is not a regular one,
    or lies outside: by ``..``, by an absolute path, or by a link that leaves.
    """
    if not directory:
        raise FileError(
            f"the payload names the file {name!r}, but this worker has no directory for it; "
            f"set {option}"
        )
    try:
        root = Path(os.path.realpath(directory))
        path = Path(os.path.realpath(root / name))
        inside = path.is_relative_to(root)
        is_file = inside and _is_file(path)
    except OSError as error:
        raise _trouble(name, option, error) from None
    except ValueError:
        raise FileError(f"{name!r} cannot be the name of a file under {option}") from None
    if not inside:
        raise FileError(f"{name!r} lies outside of {option}; put the file there")
    if not is_file:
        raise FileError(f"there is no file {name!r} under {option} on this worker")
    return path


def read_file(directory: str, name: str, *, option: str, max_bytes: int) -> bytes:
    """The content of a file found by `find_file`; blocks, so call it in a thread.

    Raises `FileError` as that does, and for a file that is too large or cannot be read.
    """
    path = find_file(directory, name, option=option)
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise _trouble(name, option, error) from None
    if len(content) > max_bytes:
        raise FileError(f"{name!r} under {option} is larger than {max_bytes} bytes")
    return content


def _is_file(path: Path) -> bool:
    """Whether it is there and regular. (`Path.is_file` says no of a faulty disk, from 3.14.)"""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise


def _trouble(name: str, option: str, error: OSError) -> FileError:
    return FileError(
        f"{name!r} under {option} cannot be read: {error.strerror}",
        passing=error.errno != errno.ENAMETOOLONG,
    )
