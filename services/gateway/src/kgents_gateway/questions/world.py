"""What a question may read."""

from datetime import datetime
from typing import Protocol

from kgents_gateway.current import Current
from kgents_shared.bus.client import Bus


class World(Protocol):
    """A running gateway."""

    bus: Bus

    @property
    def current(self) -> Current:
        """Every entity now.

        Raises:
            UnavailableError: they are not all read yet.
        """

    @property
    def stale_since(self) -> datetime | None:
        """Since when nothing can be read; None: everything is current."""

    def now(self) -> datetime:
        """The time of this machine."""
