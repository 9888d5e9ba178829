"""A service outside that raises the alarm when it no longer hears from us.

While NATS is away, or no notifier runs, no one else is notified: this is the receiver that still notices.
"""

from urllib.parse import quote

from kgents_alert_notifier.receiver_config import DeadmanReceiver
from kgents_alert_notifier.receivers.http import Answer, Http

DEADLINE_S = 10.0
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


class Deadman:
    """Pings it."""

    def __init__(self, config: DeadmanReceiver, cluster: str) -> None:
        """`{cluster}` in the url stands for the cluster, so that each has a switch of its own."""
        self._config = config
        self._cluster = cluster
        self._http = Http()

    @property
    def every_s(self) -> float:
        """How often a ping is due while alerts can be delivered."""
        return self._config.every_s

    async def ping(self, backlog_s: float = 0.0) -> str:
        """Say that all is well, and how long a notification has waited; returns why that failed, empty if not."""
        try:
            url = self._config.url.reveal().strip() if self._config.url is not None else ""
        except OSError:
            return "the url's file cannot be read"
        url = url.replace("{cluster}", quote(self._cluster, safe=""))
        body = f"backlog_s={backlog_s:.0f}\n".encode()
        answer = await self._http.request("POST", url, body=body, headers=TEXT, deadline_s=DEADLINE_S)
        return "" if isinstance(answer, Answer) else answer.why

    async def close(self) -> None:
        """Release its connections."""
        await self._http.close()
