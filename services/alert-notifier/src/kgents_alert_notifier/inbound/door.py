"""HTTP from Slack and PagerDuty: two paths, signed bodies, nothing else → `Storing`.

What it answers is for the vendors: 403 for a wrong signature alone; PagerDuty disables a subscription after a few other
refusals. 503 while NATS does not store: PagerDuty sends it again, and Slack shows the person that it failed.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import msgspec
import structlog
from aiohttp import web

from kgents_alert_notifier.config import Config
from kgents_alert_notifier.inbound import decisions, verification
from kgents_alert_notifier.inbound.decisions import Decision
from kgents_alert_notifier.inbound.inbound_config import InboundConfig
from kgents_alert_notifier.inbound.storing import Storing
from kgents_shared.bus.config import Secret
from kgents_shared.contract.address import join
from kgents_shared.contract.errors import BusError, ConfigError
from kgents_shared.runtime.service import Context

BODY_MAX: Final = 256 * 1024
"""Slack's bodies hold the whole message that was clicked on: some 10 kB."""
BODY_S: Final = 5.0
"""A body that takes longer is given up."""
DEADLINE_S: Final = 2.5
"""Slack gives up after 3 s, PagerDuty after 5 s."""
AT_ONCE: Final = 16
"""Requests that are read or stored at a time."""
_SHUTDOWN_S: Final = 1.0

_log = structlog.get_logger(__name__)


class Way(msgspec.Struct, frozen=True):
    """How one vendor's requests are read."""

    secret: Secret
    is_genuine: Callable[[bytes, Mapping[str, str], str, datetime], bool]
    read: Callable[[bytes], list[Decision]]


def ways(config: InboundConfig) -> dict[str, Way]:
    """Path → how its requests are read; only what is configured."""
    found = {}
    if config.slack_secret is not None:
        found["/slack"] = Way(config.slack_secret, verification.is_from_slack, decisions.of_slack)
    if config.pagerduty_secret is not None:
        found["/pagerduty"] = Way(config.pagerduty_secret, verification.is_from_pagerduty, decisions.of_pagerduty)
    return found


async def listen(context: Context[Config]) -> None:
    """Listen as configured. Never returns.

    Raises:
        ConfigError: the port cannot be listened on.
    """
    config = context.config.inbound
    if config.port is None:
        await asyncio.Event().wait()
        return
    app = web.Application(client_max_size=BODY_MAX)
    for path, way in ways(config).items():
        app.router.add_post(path, _Door(context, way).answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S, keepalive_timeout=BODY_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, config.host, config.port).start()
        except OSError as error:
            fault = (
                f"alert-notifier.inbound: expected to listen on {join(config.host, config.port)}, found: "
                f"{error.strerror or error}; set inbound.host and inbound.port to a free address"
            )
            raise ConfigError([fault]) from error
        _log.info("inbound_listens", port=runner.addresses[0][1])
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


class _Door:
    """The requests of one vendor."""

    def __init__(self, context: Context[Config], way: Way) -> None:
        self._context = context
        self._way = way
        self._places = asyncio.Semaphore(AT_ONCE)
        pagers = [name for name, each in context.config.all_receivers().items() if each.pagerduty is not None]
        self._storing = Storing(context.config.clusters, pagers)

    async def answer(self, request: web.Request) -> web.Response:
        """Verify it, store what it decides, and say so."""
        if self._places.locked():
            return web.Response(status=503)
        async with self._places:
            try:
                async with asyncio.timeout(BODY_S):
                    body = await request.read()
            except TimeoutError:
                return web.Response(status=408)
            return web.Response(status=await self._status(body, request.headers, request.remote or ""))

    async def _status(self, body: bytes, headers: Mapping[str, str], origin: str) -> int:
        now = self._context.clock.now()
        try:
            secrets = self._way.secret.reveal()
        except OSError:
            _log.warning("inbound_secret_unreadable")
            return 503
        if not self._way.is_genuine(body, headers, secrets, now):
            _log.warning("inbound_refused", why="signature")
            return 403
        try:
            async with asyncio.timeout(DEADLINE_S):
                for each in self._way.read(body):
                    await self._storing.store(self._context.bus, each, now, origin)
        except (BusError, TimeoutError) as error:
            _log.warning("inbound_not_stored", error=type(error).__name__)
            return 503
        return 200
