"""The gateway at work: state and event streams → the entities now → HTTP, and requests over NATS."""

import asyncio

import structlog

from kgents_gateway.access.tokens import Tokens
from kgents_gateway.config import Config
from kgents_gateway.http.app import application
from kgents_gateway.metrics import observe
from kgents_gateway.queries.endpoints import DESCRIPTION, endpoints
from kgents_gateway.queries.paths import SUBJECTS
from kgents_gateway.server import Server
from kgents_gateway.world import Gateway
from kgents_shared.runtime.heartbeat import Status
from kgents_shared.runtime.service import Access, Context, Service

_log = structlog.get_logger(__name__)


async def run(context: Context[Config]) -> None:
    """Serve until cancelled. It listens from the start: until everything is read, clients are asked to come back."""
    letters, status = context.dead_letters, context.status
    gateway = Gateway(context.bus, context.config, context.clock, report=status.set, letters=letters)
    for signal in context.service.access.recalls:
        context.reads(signal)
    file = context.config.auth.tokens_file
    tokens = Tokens(file) if file is not None else None
    app = application(gateway, context.config, tokens, version=context.service.version)
    answering = context.answering(endpoints(gateway), DESCRIPTION)
    server = Server(app, context.config, before_stop=gateway.connections.end)
    observe(context.telemetry, gateway)
    _log.info("listening", url=server.address)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(gateway.run())
        tasks.create_task(answering.run())
        tasks.create_task(server.run_until_stopped())
        if tokens is not None:
            tasks.create_task(_follow(tokens, gateway, status))


async def _follow(tokens: Tokens, gateway: Gateway, status: Status) -> None:
    """Use the file of tokens as it changes. Never returns."""

    def after_reading() -> None:
        now_s = gateway.now().timestamp()
        gateway.connections.end_withdrawn(lambda each: tokens.has(each, now_s))
        status.note(tokens.fault)

    await tokens.run(after_reading)


SERVICE = Service(
    name="gateway",
    config=Config,
    run=run,
    access=Access((), recalls=("topology", "health", "alert", "pulse", "event"), answers=SUBJECTS),
)
