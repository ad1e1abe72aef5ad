"""What descriptors may cost: their sender must not be able to use up this worker's memory or time.

Measured with protobuf's own implementation: a definition costs a microsecond or five, during which
no other thread runs, and up to 2 kB; a message with n fields the square of n.
"""

from collections.abc import Iterable

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

from dsched.contracts import TaskFailed

MAX_FILES = 1000
# The classes of a large public API, with all that it imports, have a third of this.
MAX_DEFINITIONS = 40_000
MAX_TYPES = 10_000
MAX_FIELDS = 3_000  # of one message


class _TooMuchError(Exception):
    """The message says what there is too much of."""


class _Count:
    """Counts definitions, and stops as soon as there are too many."""

    def __init__(self) -> None:
        self.definitions = 0
        self._types = 0

    def file(self, file: FileDescriptorProto) -> None:
        """Count what one file defines, at whatever depth."""
        self._add(1 + len(file.dependency) + len(file.extension))
        self._enums(file.enum_type)
        for service in file.service:
            self._add(1 + len(service.method))
        waiting = [file.message_type]
        while waiting:
            messages = waiting.pop()
            self._of_types(len(messages))  # before any of them is looked at
            for message in messages:
                self._message(message)
                if message.nested_type:
                    waiting.append(message.nested_type)

    def _message(self, message: DescriptorProto) -> None:
        fields = len(message.field)
        if fields > MAX_FIELDS:
            raise _TooMuchError(f"{MAX_FIELDS:,} fields of one message")
        self._add(fields + len(message.oneof_decl) + len(message.extension))
        self._add(
            len(message.extension_range) + len(message.reserved_range) + len(message.reserved_name)
        )
        self._enums(message.enum_type)

    def _enums(self, enums: Iterable[EnumDescriptorProto]) -> None:
        for enum in enums:
            self._of_types(1)
            self._add(len(enum.value) + len(enum.reserved_range) + len(enum.reserved_name))

    def _of_types(self, count: int) -> None:
        self._types += count
        if self._types > MAX_TYPES:
            raise _TooMuchError(f"{MAX_TYPES:,} types")
        self._add(count)

    def _add(self, count: int) -> None:
        self.definitions += count
        if self.definitions > MAX_DEFINITIONS:
            raise _TooMuchError(f"{MAX_DEFINITIONS:,} definitions")


def definitions_in(files: Iterable[FileDescriptorProto], name: str) -> int:
    """How many definitions these files have; a final `TaskFailed` where they are too many."""
    count = _Count()
    try:
        for number, file in enumerate(files):
            if number == MAX_FILES:
                raise _TooMuchError(f"{MAX_FILES:,} files")
            count.file(file)
    except _TooMuchError as error:
        raise TaskFailed(
            f"{name} has more than {error}, which is more than a task may cost its worker; give a "
            "`descriptor_set` of what the method needs alone",
            code="invalid_descriptors",
            retryable=False,
        ) from None
    return count.definitions
