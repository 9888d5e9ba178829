"""HTTP endpoints of a running service: liveness and readiness for an orchestrator, metrics for Prometheus."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

from kgents_shared.contract.address import join
from kgents_shared.contract.errors import ConfigError
from kgents_shared.runtime.sections import ProbesConfig

Condition = Callable[[], str | None]
"""Called at every probe, so it must be quick and must not block: None when ready, else the reason."""

# A probe is answered at once or is useless, so a stop does not wait for any.
_SHUTDOWN_S = 1.0


class Probes:
    """Serves `/livez`, `/readyz` and `/metrics` from entry to exit of its context.

    `/readyz` answers 503 as long as one readiness condition gives a reason, and lists every condition. `/livez`
    answers 200 as long as the event loop runs: other failures that a restart fixes end the process anyway.
    """

    def __init__(self, config: ProbesConfig, *, metrics: Callable[[], bytes]) -> None:
        """Does not listen before it is entered.

        Args:
            config: where to listen, from entry on.
            metrics: gives the Prometheus text for `/metrics`; see `Telemetry.render`.
        """
        self._config = config
        self._metrics = metrics
        self._readiness: dict[str, Condition] = {}
        self._runner: web.AppRunner | None = None

    def ready_when(self, name: str, condition: Condition) -> None:
        """Add a readiness condition; `/readyz` shows its name."""
        self._readiness[name] = condition

    @property
    def port(self) -> int | None:
        """The port in use; None while nothing listens."""
        return self._runner.addresses[0][1] if self._runner and self._runner.addresses else None

    async def __aenter__(self) -> Self:
        if self._config.port is not None:
            await self._listen(self._config.host, self._config.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _listen(self, host: str, port: int) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.get("/livez", self._answer_livez),
                web.get("/readyz", self._answer_readyz),
                web.get("/metrics", self._answer_metrics),
            ]
        )
        # No access log: a line for every probe would hide the others.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            fault = (
                f"probes: expected to listen on {join(host, port)}, found: {error.strerror or error}; set "
                "probes.host and probes.port to a free address (port 0: any free one, null: no probes)"
            )
            raise ConfigError([fault]) from error

    async def _answer_livez(self, _request: web.Request) -> web.Response:
        return _verdict({})

    async def _answer_readyz(self, _request: web.Request) -> web.Response:
        return _verdict(self._readiness)

    async def _answer_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _verdict(conditions: Mapping[str, Condition]) -> web.Response:
    reasons = {name: condition() for name, condition in conditions.items()}
    ok = all(reason is None for reason in reasons.values())
    listed = [{"name": name, "ok": reason is None, "reason": reason} for name, reason in reasons.items()]
    return web.Response(
        status=200 if ok else 503,
        body=msgspec.json.encode({"ok": ok, "conditions": listed}),
        content_type="application/json",
    )
