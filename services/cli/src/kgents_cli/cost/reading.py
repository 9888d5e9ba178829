"""NATS and a file of prices → what everything costs now."""

from datetime import datetime
from importlib import import_module
from pathlib import Path

from kgents_shared.bus.client import Bus
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.view.cost.costing import Costs, costs, used
from kgents_shared.view.cost.prices import PriceList
from kgents_shared.view.live import snapshot
from kgents_shared.view.pulses import last_pulses
from kgents_shared.view.selection import Selection


def price_list(file: Path) -> PriceList:
    """The prices of a file.

    Raises:
        KgentsError: it states something else.
    """
    try:
        prices: PriceList = import_module("kgents_shared.runtime.yaml_file").read_struct(file, PriceList)
    except ValueError as error:
        raise KgentsError(f"{file}: {error}; see `kgents cost --help`") from None
    return prices


async def current_costs(bus: Bus, clusters: tuple[str, ...], prices: PriceList, now: datetime) -> Costs:
    """What everything in some clusters costs in an hour; no cluster: in all of them.

    Raises:
        BusError: the server refused, or did not answer.
    """
    fold = await snapshot(bus, Selection(clusters=clusters), signals=("topology",))
    pulses = await last_pulses(bus, Selection(clusters=clusters, kinds=(kinds.POD,)))
    return costs(fold.entities(), {ref: used(each, now) for ref, each in pulses.items()}, prices)
