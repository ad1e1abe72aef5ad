"""Backup, restore and copy of whole stores, of whatever kinds."""

from dsched.moving.copying import Copied, MovingError, copy_store
from dsched.moving.restoring import Restored, settle_restored
from dsched.moving.sealing import Seal, read_seal

__all__ = [
    "Copied",
    "MovingError",
    "Restored",
    "Seal",
    "copy_store",
    "read_seal",
    "settle_restored",
]
