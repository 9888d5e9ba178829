"""A recording: what real collectors published of the shop, window by window, and what was done to it → a file.

The file is gzipped JSON lines: the entities of the topology at rest, then a window a line.
"""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw, Struct

from accuracy.injected import Injected
from kgents_shared.contract.codec import PULSE, TOPOLOGY
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.topology import TopologyEntity

WAITED_MOST: Final = 0.1


class Window(Struct, frozen=True, omit_defaults=True):
    """What was published in one window of the collector."""

    load: float
    """Requests a second of the users, usually."""
    pulses: list[Raw]
    episode: int = -1
    """Which one it belongs to; -1: all was well."""
    injected: Injected | None = None
    topology: list[Raw] = []
    """Entities that were published meanwhile."""
    waited: float = 0.0
    """The share of its time that a service waited for a CPU of the machine, of the one that waited longest: what others
    do on this machine is no part of the experiment."""

    @property
    def is_starved(self) -> bool:
        """Whether others used so much of the machine that the services were slow without a fault of theirs."""
        return self.waited > WAITED_MOST

    def decoded(self) -> tuple[list[TopologyEntity], list[Pulse]]:
        """Its messages."""
        return [TOPOLOGY.decode(each) for each in self.topology], [PULSE.decode(each) for each in self.pulses]


class Recording(Struct, frozen=True):
    """All windows, in the order in which they were recorded."""

    entities: list[Raw]
    """The topology at rest."""
    windows: list[Window]

    @property
    def at_rest(self) -> list[TopologyEntity]:
        return [TOPOLOGY.decode(each) for each in self.entities]


def undisturbed(recording: Recording) -> Recording:
    """Without the windows in which the machine was busy with other work, and episodes in which it mostly was."""
    waited: dict[int, list[float]] = {}
    for each in recording.windows:
        if each.injected is not None:
            waited.setdefault(each.episode, []).append(each.waited)
    kept = {episode for episode, shares in waited.items() if sum(shares) / len(shares) <= WAITED_MOST}
    windows = [each for each in recording.windows if (each.episode in kept if each.injected else not each.is_starved)]
    return Recording(recording.entities, windows)


def write(recording: Recording, file: Path) -> None:
    """Write it; equal recordings give equal bytes."""
    lines: Iterable[object] = (recording.entities, *recording.windows)
    text = b"\n".join(msgspec.json.encode(each) for each in lines)
    file.write_bytes(gzip.compress(text, compresslevel=9, mtime=0))


def read(file: Path) -> Recording:
    """Read it.

    Raises:
        ValueError: it is no recording.
    """
    try:
        first, *rest = gzip.decompress(file.read_bytes()).splitlines()
        entities = msgspec.json.decode(first, type=list[Raw])
        return Recording(entities, [msgspec.json.decode(line, type=Window) for line in rest])
    except (OSError, EOFError, msgspec.MsgspecError) as error:
        raise ValueError(f"expected a recording, found {file}: {error}; try: python -m accuracy.record") from error
