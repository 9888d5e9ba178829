"""The operator at work: the Lease → watch → reconcile; figures and health from the stream, if there is one."""

import asyncio
from functools import partial
from typing import Final

import structlog

from kgents_operator.config import Config
from kgents_operator.figures import Stream
from kgents_operator.journal import Trail
from kgents_operator.operate import Operator
from kgents_operator.source import Leadership, Standby, Writer
from kgents_shared.bus.audit import record_one
from kgents_shared.contract.audit import DISRUPT, OPERATE
from kgents_shared.kubernetes.client import ApiClient
from kgents_shared.runtime.service import Access, Context, Service

AGENT: Final = "kgents-operator"
REPORT_S: Final = 1.0
"""How often the state is set that the heartbeat and `/readyz` report."""

_log = structlog.get_logger(__name__)


async def run(context: Context[Config]) -> None:
    """Nothing: the work is done beside, since databases are looked after without NATS, too. Never returns."""
    for signal in context.service.access.reads:
        context.reads(signal)
    await asyncio.Event().wait()


async def operate(context: Context[Config]) -> None:
    """Work whenever this instance holds the Lease. Never returns."""
    config, clock = context.config, context.clock
    stream = Stream(context.bus, clock, context.cluster)
    async with ApiClient(config.kubeconfig_path, config.context, clock, agent=AGENT) as client:
        _log.info("operating", server=client.url, namespaces=config.namespaces or "all")
        state = _State(context, client, stream)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stream.run())
            tasks.create_task(state.report())
            tasks.create_task(state.leadership.run(state.work))
            tasks.create_task(state.standby.run(lambda: state.leadership.is_held))


class _State:
    """What this instance does now."""

    def __init__(self, context: Context[Config], client: ApiClient, stream: Stream) -> None:
        config, instance = context.config, context.common.instance
        self.leadership = Leadership(client, context.clock, config.lease_namespace, instance)
        self.standby = Standby(client, context.clock, config.lease_namespace, instance)
        self._context = context
        self._client = client
        self._stream = stream
        self._operator: Operator | None = None

    async def work(self) -> None:
        """As the one operator that works: with nothing remembered of an earlier time."""
        context = self._context
        writer = Writer(self._client, context.common.instance, lambda: self.leadership.left_s > 0)
        self._operator = Operator(
            context.config,
            self._client,
            writer,
            context.clock,
            self._stream.of,
            Trail(partial(record_one, context.bus), context.cluster, context.common.instance),
            lambda: self.standby.is_there,
        )
        self._stream.changed = self._operator.touch_all
        try:
            await self._operator.run()
        finally:
            self._operator = None
            self._stream.changed = lambda: None

    async def report(self) -> None:
        """Keep the state that is reported. Never returns."""
        status = self._context.status
        while True:
            if self._operator is not None:
                fault = self._operator.fault
                status.set("degraded" if fault else "in_sync", fault)
            elif self.leadership.fault:
                status.set("degraded", f"Lease: {self.leadership.fault}")
            else:
                status.set("standby", "another instance holds the Lease")
            await self._context.clock.sleep(REPORT_S)


SERVICE = Service(
    name="operator",
    config=Config,
    run=run,
    beside=operate,
    access=Access((), reads=("topology", "health", "pulse"), is_needed=False, records=(DISRUPT, OPERATE)),
)
"""Custom resources → databases that run, as asked for, and a status that says how they are."""
