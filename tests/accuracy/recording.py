"""A recording: what real collectors published of the shop, window by window, and what was done to it → a file.

The file is gzipped JSON lines: a header with the topology at rest, then a window a line.
"""

import gzip
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from accuracy.injected import Injected
from kgents_shared.contract.codec import PULSE, TOPOLOGY
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.topology import TopologyEntity


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
    """The share of its time for which a service waited for a CPU of the machine, of the one that waited longest: what
    others do on this machine is no part of the experiment."""
    used: float = 0.0
    """The share of its limit of CPU that the service used into which something was injected."""

    def decoded(self) -> tuple[list[TopologyEntity], list[Pulse]]:
        """Its messages."""
        return [TOPOLOGY.decode(each) for each in self.topology], [PULSE.decode(each) for each in self.pulses]


class _Header(Struct, frozen=True):
    seed: int
    disturbed: int
    entities: list[Raw]


class Recording(Struct, frozen=True):
    """All windows, in the order in which they were recorded."""

    seed: int
    disturbed: int
    """Episodes that other work on the machine has disturbed, which are not part of it."""
    entities: list[Raw]
    """The topology at rest."""
    windows: list[Window]

    @property
    def at_rest(self) -> list[TopologyEntity]:
        return [TOPOLOGY.decode(each) for each in self.entities]

    @property
    def episodes(self) -> dict[int, list[Window]]:
        """By their number: the windows of each, in order."""
        found: dict[int, list[Window]] = {}
        for each in self.windows:
            if each.injected is not None:
                found.setdefault(each.episode, []).append(each)
        return found


def write(recording: Recording, file: Path) -> None:
    """Write it; equal recordings give equal bytes."""
    header = _Header(recording.seed, recording.disturbed, recording.entities)
    lines: Iterable[object] = (header, *recording.windows)
    text = b"\n".join(msgspec.json.encode(each) for each in lines)
    file.write_bytes(gzip.compress(text, compresslevel=9, mtime=0))


def read(file: Path) -> Recording:
    """Read it.

    Raises:
        ValueError: it is no recording.
    """
    try:
        first, *rest = gzip.decompress(file.read_bytes()).splitlines()
        header = msgspec.json.decode(first, type=_Header)
        windows = [msgspec.json.decode(line, type=Window) for line in rest]
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"expected a recording, found {file}: {error}; try: python -m accuracy.record") from error
    return Recording(header.seed, header.disturbed, header.entities, windows)
