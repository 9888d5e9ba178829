"""The shape of every receiver → `delivery`. Pure."""

from collections.abc import Mapping
from typing import Protocol

from kgents_alert_notifier.delivery.outcome import Outcome, Search
from kgents_alert_notifier.message.facts import Facts


class Receiver(Protocol):
    """Where incidents are sent."""

    pause_s: float
    """At least so long between two requests, so that none of them is refused for its rate."""

    async def send(self, facts: Facts, key: str, handle: Mapping[str, str], deadline_s: float) -> Outcome:
        """Inform it, and be done `deadline_s` from now. Never raises.

        Args:
            facts: what it is to be informed of.
            key: the same for every try of this revision.
            handle: what it returned for the incident before.
            deadline_s: from now.
        """
        ...

    async def find(self, facts: Facts, handle: Mapping[str, str], deadline_s: float) -> Search:
        """Whether it has the message of this incident, asked because of a doubt. Never raises."""
        ...

    def secrets(self) -> str:
        """A digest of the secrets that it uses now: what it refused is sent again when that changes."""
        ...

    async def close(self) -> None:
        """Release its connections."""
        ...
