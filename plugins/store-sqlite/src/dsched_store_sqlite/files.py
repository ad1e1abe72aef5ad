"""The file itself: whether a database may live there, and creating it for its owner only."""

import logging
import os
import stat
from pathlib import Path

from dsched.contracts.store.outcomes import StoreRefusedError

log = logging.getLogger("dsched.store.sqlite")

# SQLite's locks and its shared-memory index are not dependable on these. A file system that is
# not named here and cannot do it (9p, for example) is refused when WAL mode cannot be switched on.
NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs3",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "coda",
        "ceph",
        "glusterfs",
        "lustre",
        "gpfs",
        "beegfs",
        "gfs2",
        "ocfs2",
        "orangefs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.s3fs",
        "fuse.rclone",
        "fuse.davfs2",
        "davfs",
        "fuse.smbnetfs",
    }
)

MOUNTS = Path("/proc/mounts")

FileId = tuple[int, int]


def prepare_file(path: str, mounts: Path = MOUNTS) -> Path:
    """The absolute path of a file that may hold a store, created (0600) if it is not there.

    Raises `StoreRefusedError` when its folder is missing or on a network, or access is denied.
    """
    file = Path(path).absolute()
    if not file.parent.is_dir():
        raise StoreRefusedError(
            f"the folder {file.parent} of the SQLite file {path!r} does not exist: "
            "create it, or set sqlite.path"
        )
    file = file.resolve()  # a link to a file on a network is on a network
    kind = file_system_of(file, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreRefusedError(
            f"{file} lies on a network file system ({kind}), where SQLite's locks cannot be "
            "trusted and two leaders could write at once: set sqlite.path to a local disk, or use "
            "store: redis for several hosts"
        )
    _create(file)
    if not file.is_file():
        raise StoreRefusedError(f"{file} is not a regular file: set sqlite.path to a file")
    if not os.access(file, os.R_OK | os.W_OK) or not os.access(file.parent, os.W_OK | os.X_OK):
        raise StoreRefusedError(
            f"this process may not read and write {file} and its folder (SQLite keeps two more "
            "files beside it): fix the permissions, or set sqlite.path"
        )
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        log.warning(
            "%s can be opened by other users (mode %o), and payloads may hold secrets: chmod 600",
            file,
            mode,
        )
    return file


def file_system_of(file: Path, mounts: Path = MOUNTS) -> str | None:
    """The type of the file system that ``file`` is on, or None where the system cannot tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None  # not Linux; WAL mode is still checked when the file is opened
    best, kind = -1, None
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_unescaped(fields[1]))
        # A later mount on the same point covers the earlier one.
        if len(point.parts) >= best and file.is_relative_to(point):
            best, kind = len(point.parts), fields[2]
    return kind


def file_id(file: Path) -> FileId | None:
    """What distinguishes this very file from another of the same name, or None if there is none."""
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino)


def _create(file: Path) -> None:
    # Only where there is no file yet: to open and close an existing one would drop the locks
    # that other connections of this process hold on it (POSIX locks belong to the process).
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreRefusedError(
            f"{file} cannot be created: {error.strerror}; make its folder writable for this "
            "user, or set sqlite.path"
        ) from error


def _unescaped(field: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, char)
    return field
