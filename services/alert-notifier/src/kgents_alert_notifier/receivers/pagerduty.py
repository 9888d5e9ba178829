"""PagerDuty, Events API v2: one open incident there for each of ours, by its key.

The file of the key may hold several, one a line, the newest first: an incident is acknowledged and resolved with the
key that opened it.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kgents_alert_notifier.delivery.outcome import (
    Delivered,
    InDoubt,
    NotSearchable,
    NotSent,
    Outcome,
    Refused,
    Search,
)
from kgents_alert_notifier.message import pagerduty
from kgents_alert_notifier.message.facts import Facts
from kgents_alert_notifier.receiver_config import PagerDutyReceiver
from kgents_alert_notifier.receivers.http import Answer, Failure, Http, fingerprint

ACCEPTED: Final = 202
RETRY_S: Final = 120.0
"""PagerDuty asks for pauses of minutes, and rarely says how many."""
OPENED_WITH: Final = "key"
"""In the handle: a digest of the routing key that opened the incident."""
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{32}\Z")


class PagerDuty:
    """Triggers, acknowledges and resolves."""

    pause_s = 0.0

    def __init__(self, config: PagerDutyReceiver) -> None:
        self._config = config
        self._http = Http()

    async def send(self, facts: Facts, key: str, handle: Mapping[str, str], deadline_s: float) -> Outcome:
        if not (doing := pagerduty.actions(facts)):
            return Delivered(is_requested=False)
        try:
            routing_key = self._routing_key(handle.get(OPENED_WITH, ""))
        except OSError:
            return NotSent("the key's file cannot be read")
        if not _KEY.match(routing_key):
            return Refused("the routing key does not have 32 characters")
        for each, of in doing:
            event = pagerduty.event(facts, each, key=of, routing_key=routing_key)
            answer = await self._enqueue(event, deadline_s / len(doing))
            if not isinstance(answer, Answer):
                return answer
        return Delivered({OPENED_WITH: digest(routing_key)})

    async def _enqueue(self, event: dict[str, Any], deadline_s: float) -> Answer | Failure:
        answer = await self._http.request(
            "POST",
            f"{self._config.url.rstrip('/')}/v2/enqueue",
            body=msgspec.json.encode(event),
            headers={"Content-Type": "application/json"},
            deadline_s=deadline_s,
        )
        if isinstance(answer, NotSent) and answer.why == "HTTP 429":
            return NotSent(answer.why, answer.retry_s or RETRY_S)
        if isinstance(answer, Answer) and answer.status != ACCEPTED:
            return InDoubt(f"HTTP {answer.status} instead of {ACCEPTED}")
        return answer

    async def find(self, facts: Facts, handle: Mapping[str, str], deadline_s: float) -> Search:
        return NotSearchable()

    def secrets(self) -> str:
        return fingerprint(self._config.key)

    async def close(self) -> None:
        await self._http.close()

    def _routing_key(self, opened_with: str) -> str:
        """The key that opened it, if it is still there, or else the newest."""
        text = self._config.key.reveal() if self._config.key is not None else ""
        keys = [line.strip() for line in text.splitlines() if line.strip()] or [""]
        return next((each for each in keys if digest(each) == opened_with), keys[0])


def digest(key: str) -> str:
    """Which key it is, without the key."""
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
