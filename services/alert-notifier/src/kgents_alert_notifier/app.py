"""alert-notifier at work: alerts and topology → incidents → who is to be notified → the receivers."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import structlog

from kgents_alert_notifier.config import Config
from kgents_alert_notifier.delivery.dispatch import Dispatcher
from kgents_alert_notifier.grouping import absence
from kgents_alert_notifier.grouping.reducer import Incidents
from kgents_alert_notifier.grouping.silencing import Silencing
from kgents_alert_notifier.inbound.door import listen
from kgents_alert_notifier.routing.router import Router
from kgents_shared.bus.jetstream import last_message, stored_at, stream_info
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.state_view import Change
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract import subjects
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.attestation import WRITERS
from kgents_shared.contract.audit import DECIDED
from kgents_shared.contract.codec import ACK, ALERT, INCIDENT, NOTICE, SILENCE, TOPOLOGY
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.meta import ATTENDANCE
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.runtime.follower import Follower, Input
from kgents_shared.runtime.service import Access, Context, Service

_log = structlog.get_logger(__name__)

TICK_S: Final = 1.0
"""How often it is checked what time alone changes: waits, calm, silences that end."""
WRITERS_S: Final = 10.0
"""How often it is checked whether those who make topology and alerts are at work."""


async def run(context: Context[Config]) -> None:
    """Serve one cluster for as long as this instance holds its lease."""
    notifier = _Notifier(context)
    for remark in context.config.remarks():
        if context.config.all_receivers():
            _log.warning("configuration", remark=remark)
        else:  # as under `kgents up`: incidents are for the web view alone
            _log.info("configuration", remark=remark)
    await notifier.load()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(notifier.table.run())
        tasks.create_task(notifier.notices.run())
        for follow in (notifier.follow_topology, notifier.follow_silences, notifier.follow_acknowledgements):
            tasks.create_task(follow())
        for each in (notifier.topology, notifier.silences, notifier.acknowledgements):
            await each.caught_up.wait()
        tasks.create_task(notifier.follow_alerts())  # last: what explains them is known by now
        await notifier.alerts.caught_up.wait()
        notifier.follower.begin()
        notifier.incidents.begin(_time(notifier.follower.server_ns()))
        tasks.create_task(notifier.publish())
        tasks.create_task(notifier.watch_time())
        tasks.create_task(notifier.watch_writers())
        tasks.create_task(notifier.dispatcher.run())


class _Notifier:
    """The reducer with its inputs and its output, and what receivers know."""

    def __init__(self, context: Context[Config]) -> None:
        self.context = context
        config = context.config
        self.router = Router(config.all_routes(), config.windows)
        silencing = Silencing(config.maintenance, config.windows)
        self.incidents = Incidents(context.cluster, config.grouping, self.router, silencing)
        self.table: StateTable[Incident] = context.writer(
            INCIDENT, [subjects.pattern("incident", cluster=context.cluster)]
        )
        self.notices: StateTable[Notice] = context.writer(NOTICE, [subjects.pattern("notice", cluster=context.cluster)])
        self.follower = Follower(context, self.incidents, [self.table])
        self.topology: Input[Change[TopologyEntity]] = self.follower.state(TOPOLOGY)
        self.alerts: Input[Change[Alert]] = self.follower.state(ALERT)
        self.silences: Input[Change[Silence]] = self.follower.state(SILENCE)
        self.acknowledgements: Input[Change[Acknowledgement]] = self.follower.state(ACK)
        self.dispatcher = Dispatcher(
            context, self.table, self.notices, self.router, now=partial(_server_time, self.follower)
        )

    async def load(self) -> None:
        """Begin with what was published before this run."""
        await self.table.load()
        await self.notices.load()
        time_slice = TimeSlice()
        for row in self.table.rows.values():
            self.incidents.restore(row.message)
            await time_slice.checkpoint()

    async def follow_topology(self) -> None:
        """Keep track of what depends on what."""
        async for change in self.topology.items():
            if _is_stated(change):
                self.incidents.on_topology(change.new, change.subject)

    async def follow_alerts(self) -> None:
        """Keep track of what is wrong."""
        async for change in self.alerts.items():
            if _is_stated(change):
                self.incidents.on_alert(change.new, change.subject, f"KGENTS_ALERT:{change.seq}")

    async def follow_silences(self) -> None:
        """Keep track of what notifies no one."""
        async for change in self.silences.items():
            if _is_stated(change):
                self.incidents.on_silence(change.new or change.removal, change.subject)

    async def follow_acknowledgements(self) -> None:
        """Keep track of who takes care."""
        async for change in self.acknowledgements.items():
            if _is_stated(change):
                self.incidents.on_acknowledgement(change.new or change.removal, change.subject)

    async def watch_time(self) -> None:
        """Notice what time alone changes."""
        async for now_ns in self.follower.ticks(TICK_S):
            self.incidents.tick(_time(now_ns))

    async def watch_writers(self) -> None:
        """Notice when what alerts are made of is not kept up to date: no one else would say so."""
        known = [row.message for row in self.table.rows.values()]
        writers = [
            absence.Writer(self.context.cluster, each, is_absent=any(absence.is_about(one, each) for one in known))
            for each in WRITERS
        ]
        while True:
            for each in writers:
                try:
                    await self._judge(each)
                except BusError as error:
                    _log.warning("attendance_not_read", service=each.ref.name, error=str(error))
            await self.context.clock.sleep(WRITERS_S)

    async def _judge(self, writer: absence.Writer) -> None:
        session, stream = await self.context.bus.session(), NAME_BY_SIGNAL["meta"]
        subject = subjects.build("meta", cluster=writer.ref.cluster, service=ATTENDANCE, instance=writer.ref.name)
        found = await last_message(session, stream, subject)
        is_kept = found is not None and not found.marker and self.incidents.has_entities  # of a cluster that is gone
        now = (await stream_info(session, stream)).ts
        alert = writer.judge(stored_at(found) if found is not None and is_kept else None, now)
        if alert is not None:
            self.incidents.on_alert(alert, writer.subject, f"{stream}:{found.seq}" if found is not None else "")

    async def publish(self) -> None:
        """Publish what changed, and at first what changed since the last run."""
        async for incident in self.follower.desired():
            self.dispatcher.note(incident)
            if incident.is_removal:
                self.table.remove(incident.subject, incident)
            else:
                self.table.put(incident.subject, incident)


def _is_stated(change: Change[Any]) -> bool:
    """Whether a message says so. What a stream has lost stays as it was until its writer publishes it again."""
    return change.new is not None or change.removal is not None


def _server_time(follower: Follower[Incident]) -> datetime:
    return _time(follower.server_ns())


def _time(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns / 1e9, UTC)


SERVICE = Service(
    name="alert-notifier",
    config=Config,
    run=run,
    beside=listen,
    access=Access(
        ("incident", "notice"),
        reads=("topology", "alert", "silence", "ack"),
        keeps_time=True,
        stores=("silence", "ack"),
        records=(*DECIDED["ack"], DECIDED["silence"][0]),
        misses_writers=True,
    ),
    clusters=lambda config: config.clusters,
)
