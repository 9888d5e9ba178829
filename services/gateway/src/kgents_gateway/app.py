"""The gateway at work: state and event streams → the entities now → HTTP, and requests over NATS."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from kgents_gateway.access.tokens import Tokens
from kgents_gateway.config import Config, is_readable_on_the_way
from kgents_gateway.encryption import Encryption
from kgents_gateway.http.app import application
from kgents_gateway.metrics import observe
from kgents_gateway.queries.endpoints import DESCRIPTION, endpoints
from kgents_gateway.queries.paths import SUBJECTS
from kgents_gateway.server import Server
from kgents_gateway.world import Gateway
from kgents_shared.contract.audit import DECIDED
from kgents_shared.contract.subjects import ARCHIVE
from kgents_shared.runtime.heartbeat import Status
from kgents_shared.runtime.service import Access, Context, Service

NOTED_EVERY_S: Final = 1.0

_log = structlog.get_logger(__name__)


async def run(context: Context[Config]) -> None:
    """Serve until cancelled. It listens from the start: until everything is read, clients are asked to come back."""
    letters, status = context.dead_letters, context.status
    gateway = Gateway(context.bus, context.config, context.clock, report=status.set, letters=letters)
    for signal in (*context.service.access.recalls, *context.service.access.reads):
        context.reads(signal)
    file = context.config.auth.tokens_file
    tokens = Tokens(file) if file is not None else None
    app = application(gateway, context.config, tokens, version=context.service.version)
    answering = context.answering(endpoints(gateway), DESCRIPTION)
    encryption = Encryption(context.config.tls) if context.config.tls is not None else None
    server = Server(
        app,
        context.config,
        encryption=encryption.context if encryption is not None else None,
        before_stop=gateway.connections.end,
    )
    observe(context.telemetry, gateway)
    _log.info("listening", url=server.address)
    if is_readable_on_the_way(context.config):
        _log.warning("not_encrypted", advice="set gateway.tls, or gateway.public_url to the https address of a proxy")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(gateway.run())
        tasks.create_task(answering.run())
        tasks.create_task(server.run_until_stopped())
        if tokens is not None:
            tasks.create_task(tokens.run(lambda: _end_withdrawn(tokens, gateway)))
        if encryption is not None:
            tasks.create_task(encryption.run())
        tasks.create_task(_note_faults([each for each in (tokens, encryption) if each is not None], status))


class Faulty(Protocol):
    """A file that is used as it changes."""

    @property
    def fault(self) -> str:
        """Why it is not used as it is now; empty: it is."""


def _end_withdrawn(tokens: Tokens, gateway: Gateway) -> None:
    now_s = gateway.now().timestamp()
    gateway.connections.end_withdrawn(lambda each: tokens.has(each, now_s))


async def _note_faults(files: Sequence[Faulty], status: Status) -> None:
    """Keep the faults of files in the heartbeat. Never returns."""
    while True:
        await asyncio.sleep(NOTED_EVERY_S)
        status.note("; ".join(each.fault for each in files if each.fault))


SERVICE = Service(
    name="gateway",
    config=Config,
    run=run,
    access=Access(
        (),
        reads=("notice", "silence"),
        recalls=("topology", "health", "alert", "incident", "pulse", "event"),
        answers=SUBJECTS,
        requests=(f"{ARCHIVE}.>",),
        stores=("silence", "ack"),
        records=(*DECIDED["silence"], *DECIDED["ack"]),
    ),
)
