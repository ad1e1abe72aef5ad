"""The executor itself: writes one file a task."""

import asyncio
from pathlib import Path

from dsched.contracts import ExecutionContext, Executor, TaskFailed
from dsched.model import Task, TaskResult


class SpoolExecutor(Executor):
    """Writes whole files or none, one a task, however many attempts it takes."""

    def __init__(self, folder: str, max_bytes: int) -> None:
        self._folder = Path(folder)
        self._max_bytes = max_bytes
        self._folder.mkdir(parents=True, exist_ok=True)

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Write the task's text. A full disk is worth another try, a text that is too large not."""
        assert task.spec is not None
        content = task.spec.payload["text"].encode()
        if len(content) > self._max_bytes:
            reason = (
                f"the text has {len(content)} bytes; executors.spool.max_bytes allows "
                f"{self._max_bytes}"
            )
            raise TaskFailed(reason, code="too_large", retryable=False)
        # Equal for every attempt of the task: a repeat replaces the file, it adds none.
        path = self._folder / f"{context.idempotency_key}.txt"
        writing = asyncio.ensure_future(asyncio.to_thread(_write_whole, path, content))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # Nobody can stop a thread. It is done before the attempt is said to have stopped.
            await asyncio.wait({writing})
            raise
        except OSError as error:
            raise TaskFailed(f"cannot write {path}: {error.strerror}", code="write") from error
        context.logger.info("wrote %s", path.name)
        return TaskResult(data={"file": path.name, "bytes": len(content)})


def _write_whole(path: Path, content: bytes) -> None:
    """Write beside it first, so that who picks up files never sees half of one."""
    beside = path.with_suffix(".part")
    beside.write_bytes(content)
    beside.replace(path)
