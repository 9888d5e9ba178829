"""Everything else, by Apprise: at least once, and blind, since its answer is only yes or no.

So each failure is a doubt, and after the fourth the message is refused. Imported only where it is configured: it
doubles the memory of a process.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Final

import apprise

from kgents_alert_notifier.delivery.outcome import Delivered, InDoubt, NotSearchable, NotSent, Outcome, Refused, Search
from kgents_alert_notifier.message.facts import Facts
from kgents_alert_notifier.message.text import text
from kgents_alert_notifier.receiver_config import AppriseReceiver
from kgents_alert_notifier.receivers.http import fingerprint

PAUSES_S: Final = (60.0, 300.0, 1_500.0)
"""After each failure; then it is refused."""
TYPES: Final = {
    "critical": apprise.NotifyType.FAILURE,
    "warning": apprise.NotifyType.WARNING,
    "resolved": apprise.NotifyType.SUCCESS,
}
REMEMBERED: Final = 1_000
_MENTIONS: Final = re.compile(r"@(?=everyone|here|channel|all|[&!\d])", re.IGNORECASE)
"""Signs by which a name would notify people of a service; what stands in their place shows the same."""


class Apprise:
    """Sends text to one service."""

    pause_s = AppriseReceiver.pause_s

    def __init__(self, config: AppriseReceiver) -> None:
        self._config = config
        self._failures: dict[str, int] = {}

    async def send(self, facts: Facts, key: str, handle: Mapping[str, str], deadline_s: float) -> Outcome:
        if not facts.changes_state:
            return Delivered(is_requested=False)
        try:
            url = self._config.url.reveal().strip() if self._config.url is not None else ""
        except OSError:
            return NotSent("the url's file cannot be read")
        asset = apprise.AppriseAsset(secure_logging=True)
        service = apprise.Apprise.instantiate(url, asset=asset)
        if service is None:
            return Refused("Apprise does not know this kind of url")
        service.overflow_mode = apprise.OverflowMode.TRUNCATE
        services = apprise.Apprise(service, asset=asset)  # alone it would not escape text for those that take markup
        headline, _, rest = _MENTIONS.sub("@\u200b", text(facts)).partition("\n")
        kind = TYPES.get(facts.status, apprise.NotifyType.INFO)
        try:
            async with asyncio.timeout(deadline_s):
                sending = services.async_notify(
                    title=headline, body=rest, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
                )
                is_sent = bool(await sending)
        except TimeoutError:
            is_sent = False
        except TypeError:
            return Refused("Apprise does not take this message")
        if is_sent:
            self._failures.pop(key, None)
            return Delivered()
        return self._failed(key)

    async def find(self, facts: Facts, handle: Mapping[str, str], deadline_s: float) -> Search:
        return NotSearchable()

    def secrets(self) -> str:
        return fingerprint(self._config.url)

    async def close(self) -> None:
        """It keeps nothing open."""

    def _failed(self, key: str) -> InDoubt | Refused:
        failures = self._failures.pop(key, 0)
        if failures >= len(PAUSES_S):
            return Refused("Apprise could not send it in four tries")
        self._failures[key] = failures + 1
        while len(self._failures) > REMEMBERED:
            del self._failures[next(iter(self._failures))]
        return InDoubt("Apprise could not send it", own_retry_s=PAUSES_S[failures])
