"""Any program that takes JSON over HTTP: at least once, a repeat only after a doubt and with the same id."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from kgents_alert_notifier.delivery.outcome import Delivered, NotSearchable, NotSent, Outcome, Refused, Search
from kgents_alert_notifier.message import webhook
from kgents_alert_notifier.message.facts import Facts
from kgents_alert_notifier.receiver_config import WebhookReceiver
from kgents_alert_notifier.receivers import signature
from kgents_alert_notifier.receivers.http import Answer, Http, fingerprint

JSON: Final = "application/json"
CLOUD_EVENT: Final = "application/cloudevents+json"


class Webhook:
    """Posts the incident, signed if there is a secret."""

    pause_s = 0.0

    def __init__(self, config: WebhookReceiver, now: Callable[[], datetime]) -> None:
        self._config = config
        self._now = now
        self._http = Http()

    async def send(self, facts: Facts, key: str, handle: Mapping[str, str], deadline_s: float) -> Outcome:
        config = self._config
        is_event = config.format == "cloudevents"
        body = webhook.cloud_event(facts, message_id=key, now=self._now()) if is_event else webhook.body(facts)
        try:
            url = config.url.reveal().strip() if config.url is not None else ""
            keys = signature.keys_of(config.secret.reveal()) if config.secret is not None else []
        except OSError:
            return NotSent("a secret file cannot be read")
        except ValueError as error:
            return Refused(f"secret: {error}")
        headers = {"Content-Type": CLOUD_EVENT if is_event else JSON, "webhook-id": key}
        if keys:
            headers |= signature.headers(body, message_id=key, at_s=int(self._now().timestamp()), keys=keys)
        answer = await self._http.request("POST", url, body=body, headers=headers, deadline_s=deadline_s)
        return Delivered() if isinstance(answer, Answer) else answer

    async def find(self, facts: Facts, handle: Mapping[str, str], deadline_s: float) -> Search:
        return NotSearchable()

    def secrets(self) -> str:
        return fingerprint(self._config.url, self._config.secret)

    async def close(self) -> None:
        await self._http.close()
