"""The service ``api``: listens, makes the first token, and leaves without waiting for streams."""

import asyncio
import errno
import logging
import os
import resource

from aiohttp import web

from dsched.contracts import PodView, ServiceError, StoreError
from dsched_api_http.app import make_app
from dsched_api_http.audit import Audit
from dsched_api_http.backlog import Backlog
from dsched_api_http.call import Api
from dsched_api_http.doorkeeper import Doorkeeper, within_descriptors
from dsched_api_http.events import EventHub
from dsched_api_http.gate import Gate
from dsched_api_http.idempotency import Idempotency
from dsched_api_http.judged import Judged
from dsched_api_http.listener import Listener
from dsched_api_http.options import DEFAULT_PORT, ApiOptions, is_loopback
from dsched_api_http.overview import Overview
from dsched_api_http.patience import HeededStore
from dsched_api_http.readiness import Readiness
from dsched_api_http.sessions import Sessions
from dsched_api_http.shared_answers import SharedAnswers
from dsched_api_http.shares import Shares
from dsched_api_http.timetable import Timetable
from dsched_api_http.tokens import Tokens

_log = logging.getLogger(__name__)

_SHUTDOWN_S = 2.0
_TRY_AGAIN_S = 2.0


class AddressError(ServiceError):
    """The configured address cannot be served; the message says what to do."""


def _reason(error: OSError) -> str:
    """The system's words, without those that asyncio puts around them."""
    number = error.errno or 0  # a name that is not found has none of the system's
    return os.strerror(number).lower() if number in errno.errorcode else str(error)


class ApiService:
    """The service ``api``. ``address`` is (host, port) while it serves, else None."""

    def __init__(self, options: ApiOptions) -> None:
        self._options = options
        self.address: tuple[str, int] | None = None

    async def run(self, pod: PodView) -> None:
        """Serve until cancelled. With the default port taken: stay idle, after a warning."""
        api = self._api(pod)
        runner = Listener(
            make_app(api),
            self._doorkeeper(),
            access_log=None,
            shutdown_timeout=_SHUTDOWN_S,
            handle_signals=False,
        )
        await runner.setup()
        try:
            if await self._listen(runner):
                self._tell_pages(api)
                async with asyncio.TaskGroup() as group:
                    group.create_task(api.hub.run(), name="api events")
                    group.create_task(api.audit.run(), name="api refusals")
                    if self._options.auth == "token":
                        group.create_task(self._first_token(api), name="api first token")
            await asyncio.Event().wait()  # until cancelled
        finally:
            self.address = None
            api.stopping.set()
            await runner.cleanup()

    def _api(self, pod: PodView) -> Api:
        store = HeededStore(pod.store)
        tokens = Tokens(store, admin_token=self._options.admin_token)
        sessions = Sessions(store, tokens)
        overview = Overview(store, pod.intake)
        hub = EventHub(store, self._options.max_events_behind, overview.heard)
        return Api(
            pod=pod,
            store=store,
            options=self._options,
            tokens=tokens,
            sessions=sessions,
            gate=Gate(self._options, tokens, sessions),
            audit=Audit(store),
            idempotency=Idempotency(store),
            hub=hub,
            shared=SharedAnswers(lambda: hub.told, lambda given: len(given.body)),
            lines=SharedAnswers(lambda: 0),
            overview=overview,
            timetable=Timetable(store, overview),
            readiness=Readiness(pod.store),
            streams=self._shares("streams", "max_streams"),
            waits=self._shares("waits for a task", "max_waits"),
            backlog=Backlog(store, self._options),
            judged=Judged(pod.intake),
            putting=asyncio.Lock(),
            stopping=asyncio.Event(),
        )

    def _shares(self, what: str, setting: str) -> Shares:
        most = getattr(self._options, setting)
        # Without tokens all callers are one principal.
        alone = self._options.auth == "none"
        share = most if alone else getattr(self._options, f"{setting}_by_token")
        return Shares(what, f"api.{setting}", most, share)

    def _doorkeeper(self) -> Doorkeeper:
        """The counter of connections, with a bound below what the process may open."""
        wanted, by_address = self._options.max_connections, self._options.max_connections_by_address
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = wanted if limit == resource.RLIM_INFINITY else within_descriptors(wanted, limit)
        if most < wanted:
            _log.warning(
                "the API takes at most %d connections, not api.max_connections (%d): the "
                "process may have %d files and connections open. Raise that (ulimit -n), "
                "or lower the setting",
                most,
                wanted,
                limit,
            )
        return Doorkeeper(most, by_address)

    async def _listen(self, runner: web.AppRunner) -> bool:
        bind, port = self._options.bind, self._options.port
        wanted = DEFAULT_PORT if port is None else port
        try:
            await web.TCPSite(runner, bind, wanted).start()
        except OSError as error:
            if port is None and error.errno == errno.EADDRINUSE:
                _log.warning(
                    "the API stays off: its default port %d on %s is taken. Set api.port to "
                    "another one (0 picks a free one), or run without the role api",
                    wanted,
                    bind,
                )
                return False
            raise AddressError(
                f"the API cannot listen on {bind} port {wanted}: {_reason(error)}. Set api.bind to "
                "an address of this host and api.port to a free port (0 picks one), or free this "
                "one",
            ) from error
        host, bound = runner.addresses[0][:2]
        self.address = (host, bound)
        _log.info("API: http://%s:%d/api/v1", _shown(host), bound)
        return True

    def _tell_pages(self, api: Api) -> None:
        """Say where the pages are; on loopback with a link that logs in once."""
        if self.address is None:
            return
        host, port = self.address
        for pages in api.pod.pages:
            url = f"http://{_shown(host)}:{port}/{pages.name}/"
            if self._options.auth == "token" and is_loopback(host):
                once = f"{url}#once={api.sessions.link()}"
                _log.info("pages: %s ; this link logs in once, within a minute: %s", url, once)
            else:
                _log.info("pages: %s", url)

    async def _first_token(self, api: Api) -> None:
        """Log an admin token if this store has no token at all, once over all pods."""
        if self._options.admin_token:
            return
        while True:
            try:
                token = await api.tokens.create_first()
            except StoreError as error:
                _log.debug("no first token yet: %s", error)
                await asyncio.sleep(_TRY_AGAIN_S)
                continue
            break
        if token is not None:
            # In the log and not printed, so that a log of JSON lines stays valid. It is shown only
            # here.
            _log.warning("the admin token of this store, shown this once: %s", token.token)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
