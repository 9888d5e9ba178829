"""Prometheus Alertmanager, API v2: one alert for each incident, kept up by sending it again.

Alerts are not passed on among its peers, so each gets all of them. A restart forgets them, so all that is open, and
what was resolved in the last minutes, is sent again every `resend_s`, and at once to a peer that has restarted. A peer
that was away gets every end that it has missed: without it an alert would fire there until `hold_s` is over.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from kgents_alert_notifier.delivery.outcome import Delivered, InDoubt, NotSearchable, NotSent, Outcome, Refused, Search
from kgents_alert_notifier.message import alertmanager
from kgents_alert_notifier.message.facts import Facts
from kgents_alert_notifier.receiver_config import AlertmanagerReceiver
from kgents_alert_notifier.receivers.http import Answer, Failure, Http

BATCH: Final = 500
"""Alerts in one request: 170 kB."""
STATUS_INTERVAL_S: Final = 5.0
"""How often a peer is asked whether it has restarted."""
RESEND_DEADLINE_S: Final = 10.0
INVALID: Final = "HTTP 400"
"""Some alerts of the request are not valid; the others are stored."""
RESENT_RESOLVED_S: Final = 900.0
"""How long the end of an incident is sent again at least."""

Known = Callable[[float], Iterable[Facts]]


class Alertmanager:
    """Sends alerts to every peer."""

    pause_s = 0.0

    def __init__(self, config: AlertmanagerReceiver, now: Callable[[], datetime]) -> None:
        self._config = config
        self._now = now
        self._http = Http()
        self._in_order = asyncio.Lock()  # an older state that arrives later would open an alert again
        self._started: dict[str, str] = {}  # peer → when it says that it started
        self._taken_s: dict[str, float] = {}  # peer → when it last took all that is sent again

    async def send(self, facts: Facts, key: str, handle: Mapping[str, str], deadline_s: float) -> Outcome:
        """Delivered once any peer has it: the others get it with what is sent again."""
        async with self._in_order:
            outcomes = await self._to_all(self._alerts([facts]), deadline_s)
        for kind in (Answer, InDoubt, NotSent):
            found = next((each for each in outcomes if isinstance(each, kind)), None)
            if found is not None:
                return Delivered() if isinstance(found, Answer) else found
        return next((each for each in outcomes if isinstance(each, Refused)), Refused("no peer is configured"))

    async def find(self, facts: Facts, handle: Mapping[str, str], deadline_s: float) -> Search:
        return NotSearchable()

    async def resend(self, known: Known, watchdog: Callable[[float], dict[str, Any] | None]) -> None:
        """Keep every peer informed of what it was sent before. Never returns.

        Args:
            known: what was delivered and is open, or was resolved within so many seconds; asked right before it is
                sent.
            watchdog: for a number of seconds, the alert that fires as long as alerts can be delivered; None: they
                cannot.
        """
        due_s = 0.0
        while True:
            restarted = [url for url in self._config.urls if await self._has_restarted(url)]
            due_s -= STATUS_INTERVAL_S
            if peers := self._config.urls if due_s <= 0 else restarted:
                async with self._in_order:
                    await self._send_again(peers, known, watchdog)
            if due_s <= 0:
                due_s = self._config.resend_s
            await asyncio.sleep(min(STATUS_INTERVAL_S, self._config.resend_s))

    async def _send_again(
        self, peers: Sequence[str], known: Known, watchdog: Callable[[float], dict[str, Any] | None]
    ) -> None:
        now_s = time.monotonic()
        missed_s = max(now_s - self._taken_s.get(url, -self._config.hold_s) for url in peers)
        alerts = self._alerts(known(min(missed_s, self._config.hold_s) + RESENT_RESOLVED_S))
        if self._config.watchdog and (alive := watchdog(3 * self._config.resend_s)) is not None:
            alerts.append(alive)
        failed: set[str] = set()
        for begin in range(0, len(alerts), BATCH):
            answers = await self._to_all(alerts[begin : begin + BATCH], RESEND_DEADLINE_S, peers)
            failed |= {url for url, answer in zip(peers, answers, strict=True) if not isinstance(answer, Answer)}
        self._taken_s.update({url: now_s for url in peers if url not in failed})

    def secrets(self) -> str:
        return ""

    async def close(self) -> None:
        await self._http.close()

    def _alerts(self, known: Iterable[Facts]) -> list[dict[str, Any]]:
        now, hold_s = self._now(), self._config.hold_s
        return [alert for facts in known for alert in alertmanager.alerts(facts, now=now, hold_s=hold_s)]

    async def _to_all(
        self, alerts: list[dict[str, Any]], deadline_s: float, peers: Sequence[str] | None = None
    ) -> list[Answer | Failure]:
        async with asyncio.TaskGroup() as tasks:
            sent = [
                tasks.create_task(self._to_one(url, alerts, deadline_s))
                for url in (self._config.urls if peers is None else peers)
            ]
        return [each.result() for each in sent]

    async def _to_one(self, url: str, alerts: list[dict[str, Any]], deadline_s: float) -> Answer | Failure:
        """Send them together; if some are not valid, one by one: that is refused for good, and the others are not."""
        answer = await self._post(url, alerts, deadline_s / 2)
        if not (isinstance(answer, Refused) and answer.why == INVALID and len(alerts) > 1):
            return answer
        try:
            async with asyncio.timeout(deadline_s / 2):
                answers = [await self._post(url, [each], deadline_s / 2) for each in alerts]
        except TimeoutError:
            return InDoubt("no answer within the deadline")
        return next((each for each in answers if not isinstance(each, Answer)), answers[0])

    async def _post(self, url: str, alerts: list[dict[str, Any]], deadline_s: float) -> Answer | Failure:
        return await self._http.request(
            "POST",
            f"{url.rstrip('/')}/api/v2/alerts",
            body=msgspec.json.encode(alerts),
            headers={"Content-Type": "application/json"},
            deadline_s=deadline_s,
        )

    async def _has_restarted(self, url: str) -> bool:
        answer = await self._http.request(
            "GET", f"{url.rstrip('/')}/api/v2/status", body=None, headers={}, deadline_s=STATUS_INTERVAL_S
        )
        if not isinstance(answer, Answer):
            return False
        try:
            started = msgspec.json.decode(answer.body, type=_Status).uptime
        except msgspec.DecodeError:
            return False
        before = self._started.get(url, started)
        self._started[url] = started
        return started != before


class _Status(msgspec.Struct):
    uptime: str = ""
    """When it started, as a time."""
