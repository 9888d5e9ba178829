"""edge-sync at work: is the link up? → wake the copies → compare both sides → a heartbeat that says it all."""

from typing import Final

import structlog

from kgents_edge_sync.config import Config
from kgents_edge_sync.link import Link, remark
from kgents_shared.bus import edges, requests
from kgents_shared.bus.edges import Copy
from kgents_shared.bus.requests import api_prefix_of
from kgents_shared.bus.session import SessionLostError
from kgents_shared.contract.audit import RESYNC
from kgents_shared.contract.errors import BusError, BusTimeoutError
from kgents_shared.contract.meta import EDGE_SYNC
from kgents_shared.runtime.service import Access, Context, Service

POLL_S: Final = 1.0
"""How often the edge is asked: a cut is known before a report of it can be missing for long."""
AGAIN_S: Final = 5.0
"""How often a cluster that is no edge is asked whether it has become one."""

_log = structlog.get_logger(__name__)


async def run(context: Context[Config]) -> None:
    """Take care of one cluster, which may be an edge, for as long as this instance holds its lease."""
    link = Link()
    context.reads("entity")
    context.status.writes_log(context.service.written("entity", [context.cluster]))
    while True:
        try:
            session = await context.bus.session()
            if context.cluster not in await edges.edges_of(session):
                context.status.set("in_sync", "no edge")
                await context.clock.sleep(AGAIN_S)
                continue
            await edges.ensure(session, context.cluster)
            await _keep(context, link)
        except SessionLostError:
            continue
        except BusError as error:
            context.status.set("degraded", str(error))
        await context.clock.sleep(POLL_S)


async def _keep(context: Context[Config], link: Link) -> None:
    """One reading of the edge, and what follows from it."""
    edge, status, now_s = context.cluster, context.status, context.clock.monotonic_s()
    session = await context.bus.session()
    try:
        copies = await edges.observe(session, edge)
    except BusTimeoutError as error:
        if link.down_since_s is None:
            _log.warning("edge_lost", edge=edge, why=str(error))
            status.behind = None
            status.set(
                "degraded", f"{error}: what is known of {edge} is of {context.clock.now():%Y-%m-%d %H:%M:%S} UTC"
            )
        link.lost(now_s)
        return
    link.read(copies, now_s)
    status.watermark.update({copy.stream: copy.source.seq for copy in copies if copy.source is not None})
    status.behind = {copy.stream: copy.behind for copy in copies}
    for stream in link.to_wake(copies, now_s):
        _log.info("copy_woken", edge=edge, stream=stream)
        await edges.cycle(session, edge, stream)
    if fault := link.fault(copies, now_s):
        link.is_due = True
        status.set("degraded", fault)
    elif not all(copy.is_complete for copy in copies):
        if link.is_due:  # else a message is on its way, as at any time
            status.set("syncing", f"catching up with edge {edge}")
    elif not link.is_due or await _compared(context, copies):
        link.is_due = False
        status.set("in_sync", remark(copies))


async def _compared(context: Context[Config], copies: list[Copy]) -> bool:
    """Make both sides equal; returns whether that could be done now."""
    entities = copies[0]
    found = await edges.compare(context.bus, context.cluster)
    if found.gone and entities.is_settled and context.lease.is_valid:
        removed = await edges.remove(await context.bus.session(), found.gone)
        _log.warning("ghosts_removed", edge=context.cluster, entities=removed)
    if found.missing:
        _log.warning("entities_missing", edge=context.cluster, entities=len(found.missing))
    return entities.is_settled or not found.gone


SERVICE = Service(
    name=EDGE_SYNC,
    config=Config,
    run=run,
    access=Access(
        ("entity",),
        reads=("entity", "pulse", "event", "meta"),
        requests=(
            *(f"{api_prefix_of(None)}{requests.update_of(stream)}" for stream in edges.STREAMS),
            *(f"{api_prefix_of('*')}{requests.info_of(stream)}" for stream in edges.STREAMS),
        ),
        records=(RESYNC,),
    ),
    clusters=lambda config: config.clusters,
)
"""The state of an edge's link → the copies complete again → a heartbeat that says how far they are."""
