"""What a collector hands over after reading its source: mapping → Facts → `runtime.collector`. Not on the wire."""

from collections.abc import Sequence

from msgspec import Struct

from kgents_shared.contract.entity import Entity
from kgents_shared.contract.event import Event
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.unread import Unread


class Facts(Struct, frozen=True):
    """Everything that was read of one part of the source."""

    entities: list[Entity] = []
    """All entities; byte for byte the same while nothing changes. A published entity that is neither in here nor unread
    is removed."""
    pulses: Sequence[Pulse] = ()
    events: Sequence[Event] = ()
    unread: Sequence[Unread] = ()
    """What could not be read of it: its published entities stay as they are, and are not attested."""
    faults: Sequence[str] = ()
    """What else the heartbeat shows of the read, each in a sentence; it affects no entity."""
