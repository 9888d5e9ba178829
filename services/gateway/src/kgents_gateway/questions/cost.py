"""The question what it costs now: by a price list, requests and usage."""

import asyncio
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kgents_gateway.questions.arguments import LIMIT_MAX, Arguments, Words, checked
from kgents_gateway.questions.question import Question
from kgents_gateway.questions.world import World
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.wire import Time
from kgents_shared.view.cost.costing import Costs, Idle, costs, used
from kgents_shared.view.cost.prices import PriceList
from kgents_shared.view.cost.summary import BY, Line, lines
from kgents_shared.view.entity import key_of_ref
from kgents_shared.view.selection import Selection


class CostArguments(Arguments, frozen=True, kw_only=True):
    """Of what, and summed up by what."""

    clusters: Annotated[Words, Meta(description="Names of clusters.")] = []
    namespaces: Annotated[Words, Meta(description="Names of namespaces; then nothing of nodes.")] = []
    by: Annotated[str, Meta(description="What to sum up by.", extra_json_schema={"enum": list(BY)})] = "workload"
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="At most so many lines, the most expensive.")] = (
        LIMIT_MAX
    )


class Cost(msgspec.Struct, frozen=True):
    """One line: what one entity costs, or what is idle."""

    id: str
    """Of the entity; empty: it is of none, such as what is idle in a cluster."""
    name: str
    cluster: str
    per_hour: float | None
    """Null: the cost of a part is not known."""
    known_per_hour: float
    """The sum of the parts whose cost is known."""
    unknown: int
    """How many parts have no known cost."""
    pods: int
    cpu: float | None
    """vCPUs that are charged: of each pod the larger of what it requests and what it uses. Null: not known."""
    cpu_used: float | None
    memory_gib: float | None
    memory_used_gib: float | None
    disk_gib: float
    charged_by: list[str]
    """`request`, `usage`."""
    prices: list[str]
    """The prices that were used, such as `node m7i.xlarge`."""


class NodeCost(msgspec.Struct, frozen=True):
    """What one node costs, and how much of that no pod is charged for."""

    id: str
    per_hour: float | None
    idle_per_hour: float | None
    """Null: the cost of the node or of one of its pods is not known. Negative: its pods use more than it has."""
    price: str


class Priced(msgspec.Struct, frozen=True):
    """What it costs in an hour, by the prices of one list."""

    price_list: str | None
    """Its name; null: none is configured, and nothing has a known cost."""
    currency: str = ""
    at: Time | None = None
    """When it was computed: requests and usage are of then."""
    costs: list[Cost] = []
    """The most expensive first, then what is idle in each cluster."""
    nodes: list[NodeCost] = []
    """Each node."""
    is_cut: bool = False
    """There are more than `limit`."""


async def cost(world: World, arguments: CostArguments) -> Priced:
    """What pods and their disks cost now, and what of the nodes is idle."""
    checked("by", [arguments.by], BY)
    prices = world.prices
    if prices is None:
        return Priced(None)
    found = await _costs(world, arguments, prices)
    summed = await asyncio.to_thread(lines, found, arguments.by)
    return Priced(
        prices.name,
        prices.currency,
        world.now(),
        [_cost(each) for each in summed[: arguments.limit]],
        [_node(each) for each in found.nodes[: arguments.limit]],
        len(summed) > arguments.limit or len(found.nodes) > arguments.limit,
    )


async def _costs(world: World, arguments: CostArguments, prices: PriceList) -> Costs:
    selection = Selection(
        clusters=tuple(arguments.clusters), kinds=(kinds.POD,), namespaces=tuple(arguments.namespaces)
    )
    pulses, now = await world.streams.last_pulses(selection), world.now()
    views, time_slice = [], TimeSlice()
    for view in world.current.fold.entities():
        if selection.takes_cluster(view.ref.cluster):
            views.append(view)
        await time_slice.checkpoint()
    usage = {ref: used(each, now) for ref, each in pulses.items()}
    found = await asyncio.to_thread(costs, views, usage, prices)
    if not arguments.namespaces:
        return found
    items = [each for each in found.items if each.ref.namespace in arguments.namespaces]
    return Costs(items, [])


def _cost(of: Line) -> Cost:
    return Cost(
        _id(of.ref), of.name, of.cluster, of.cost, of.known, of.unknown, of.pods, of.cpu, of.cpu_used, of.memory_gib,
        of.memory_used_gib, of.disk_gib, of.charged_by, of.prices,
    )  # fmt: skip


def _node(of: Idle) -> NodeCost:
    return NodeCost(_id(of.node), of.cost, of.idle, of.price)


def _id(ref: Ref | None) -> str:
    return key_of_ref(ref) if ref is not None else ""


QUESTIONS: Final = (
    Question("cost", "What workloads, namespaces, nodes and clusters cost now", CostArguments, Priced, cost),
)
