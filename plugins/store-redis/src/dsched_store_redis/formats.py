"""The format of the store, and the step to the newest."""

from dsched.contracts.store.formats import STORE_FORMAT, Migrating, StoreFormat, too_old
from dsched.contracts.store.operating import MAX_PODS
from dsched.contracts.store.outcomes import Outcome
from dsched_store_redis.base import OnRedis
from dsched_store_redis.operating import read_pods
from dsched_store_redis.wire import outcome


class RedisMigrating(OnRedis, Migrating):
    """The step to the newest format."""

    async def store_format(self) -> StoreFormat:
        """The format, and the pods that keep the store from a newer one."""
        _, stored, rows, formats = await self._step("store_format", MAX_PODS)
        return StoreFormat(stored=int(stored), older_pods=too_old(read_pods(rows, formats)))

    async def migrate(self, *, by: str) -> Outcome:
        """Give the store the newest format."""
        answer = await self._step("migrate", by, MAX_PODS, STORE_FORMAT, durable=True)
        return outcome(answer[0])
