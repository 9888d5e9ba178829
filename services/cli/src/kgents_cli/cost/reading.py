"""NATS and a file of prices → what everything costs now."""

from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Final

import msgspec

from kgents_cli.cost.costing import Costs, Used, costs
from kgents_cli.cost.prices import PriceList, parsed
from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.pulse import Pulse, ResourcePulse
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.runtime.ini import UnusableFileError
from kgents_shared.view.live import snapshot
from kgents_shared.view.pulses import last_pulses
from kgents_shared.view.selection import Selection

_MISSED: Final = 3
"""After so many intervals without a pulse, what it said is no longer what is used now."""


def price_list(file: Path) -> PriceList:
    """The prices of a file.

    Raises:
        KgentsError: it states something else.
    """
    try:
        content, faults = import_module("kgents_shared.runtime.yaml_file").read_yaml(file)
        if faults:
            raise KgentsError(f"{file}: {faults[0]}")
        return parsed(content)
    except (UnusableFileError, msgspec.ValidationError) as error:
        raise KgentsError(f"{file}: {error}; see `kgents cost --help`") from None


async def current_costs(bus: Bus, clusters: tuple[str, ...], prices: PriceList, now: datetime) -> Costs:
    """What everything in some clusters costs in an hour; no cluster: in all of them.

    Raises:
        BusError: the server refused, or did not answer.
    """
    fold = await snapshot(bus, Selection(clusters=clusters), signals=("topology",))
    pulses = await last_pulses(bus, Selection(clusters=clusters, kinds=(kinds.POD,)))
    return costs(fold.entities(), {ref: used(each, now) for ref, each in pulses.items()}, prices)


def used(pulse: Pulse, now: datetime) -> Used:
    """What a pod uses, by its last pulse; nothing is known by one that is too old."""
    is_old = now - pulse.timestamp > timedelta(seconds=_MISSED * pulse.interval_s)
    if is_old or not isinstance(pulse, ResourcePulse):
        return Used()
    cores = pulse.cpu_percent / 100 if pulse.cpu_percent is not None else None
    return Used(cores, float(pulse.memory_bytes) if pulse.memory_bytes is not None else None)


def cost_of(found: Costs) -> dict[Ref, float | None]:
    """Entity → what it costs in an hour: pods and claims, what owns them, and nodes. None: it is not known."""
    parts: dict[Ref, list[float | None]] = {}
    for each in found.items:
        for ref in {each.ref, each.workload}:
            parts.setdefault(ref, []).append(each.cost)
    sums = {ref: sum(each or 0.0 for each in costs_) if None not in costs_ else None for ref, costs_ in parts.items()}
    return sums | {each.node: each.cost for each in found.nodes}
