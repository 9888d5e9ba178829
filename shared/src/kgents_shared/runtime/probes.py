"""HTTP endpoints of a running service: liveness and readiness for an orchestrator, metrics for Prometheus."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from kgents_shared.runtime.sections import ProbesConfig

if TYPE_CHECKING:
    from aiohttp import web

Condition = Callable[[], str | None]
"""Called at every probe, so it must be quick and must not block: None when ready, else the reason."""


class Answer(NamedTuple):
    """What a path answers."""

    status: int
    body: bytes
    content_type: str


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
        from kgents_shared.runtime.probe_server import listen  # noqa: PLC0415 - only where a port is set

        livez = _verdict({})
        answers = {"/livez": lambda: livez, "/readyz": lambda: _verdict(self._readiness), "/metrics": self._exposition}
        self._runner = await listen(host, port, answers)

    def _exposition(self) -> Answer:
        return Answer(200, self._metrics(), "text/plain; version=0.0.4; charset=utf-8")


def _verdict(conditions: Mapping[str, Condition]) -> Answer:
    reasons = {name: condition() for name, condition in conditions.items()}
    ok = all(reason is None for reason in reasons.values())
    listed = [{"name": name, "ok": reason is None, "reason": reason} for name, reason in reasons.items()]
    return Answer(200 if ok else 503, msgspec.json.encode({"ok": ok, "conditions": listed}), "application/json")
