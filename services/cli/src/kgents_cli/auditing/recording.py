"""A command that writes → its records in the audit trail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import structs

from kgents_cli.alerting.author import origin, user
from kgents_cli.auditing.late import kept, record_kept
from kgents_cli.connection import NAME
from kgents_cli.log import setup as setup_logging
from kgents_shared.bus import provision
from kgents_shared.bus.audit import audited, new_id
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import Secret
from kgents_shared.bus.provision import Plan, Unchanged
from kgents_shared.contract.audit import BEGUN, AuditRecord
from kgents_shared.contract.errors import BusTimeoutError, ProvisionError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.config import CommonConfig

LOGIN: Final = "provision"
"""Of who sets up."""
TRIED_S: Final = 0.2
"""How often it is asked whether every server was tried."""


def written(
    cluster: str, action: str, target: str, *, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None
) -> AuditRecord:
    """That the user of this machine begins to write something."""
    return AuditRecord(
        text=f"{user()}: {action} {target}.",
        cluster=cluster,
        action=action,
        id=new_id(),
        stage=BEGUN,
        by=user(),
        via="cli",
        origin=origin(),
        target=target,
        before=before,
        after=after,
    )


async def provisioned(bus: Bus, plan: Plan, common: CommonConfig) -> None:
    """Carry a plan out, and record it; the stream of the records itself is made first.

    Raises:
        ProvisionError: the plan holds refusals, and nothing was done, or the server refused a step.
    """
    session = await bus.session()
    if plan.refusals or not plan.has_changes:
        await provision.apply(session, plan)
        return
    trail = [each for each in plan.steps if each.stream == NAME_BY_SIGNAL["audit"]]
    await provision.apply(session, Plan(tuple(trail)))
    steps = [str(each) for each in plan.steps if not isinstance(each, Unchanged)]
    record = written(common.cluster, "provision", "streams", after={"steps": steps})
    async with audited(bus, record):
        await provision.apply(session, Plan(tuple(each for each in plan.steps if each not in trail)))


@asynccontextmanager
async def recorded(common: CommonConfig, record: AuditRecord, *, hub: Path | None = None) -> AsyncIterator[None]:
    """Record a write of files or tables, which itself needs no NATS: without one it is done, and that is said.

    `hub`: the directory of the hub that it is about. Its own login is used where its key is there; what cannot be
    recorded is kept in it, and recorded with what follows.

    Raises:
        BusError: the audit trail is there, and does not take the record; the block is not entered.
    """
    nats = common.nats
    if hub is not None and await asyncio.to_thread((seed := hub / "keys" / f"{LOGIN}.nk").exists):
        nats = structs.replace(nats, nkey_seed=Secret(seed), credentials_file=None, user=None, password=None)
    setup_logging("error")
    async with Bus(nats, name=NAME) as bus, AsyncExitStack() as recording:
        why = ""
        if not await _is_there(bus, nats.round_timeout_s):
            why = f"no connection to NATS at {nats.url}: {bus.last_error}"
        else:
            try:
                await recording.enter_async_context(audited(bus, record))
            except ProvisionError:
                why = f"{nats.url} has none; name yours with --nats, or provision it"
        if why:
            recording.enter_context(kept(hub, record, why))
        elif hub is not None:
            await record_kept(bus, hub)
        yield


async def _is_there(bus: Bus, timeout_s: float) -> bool:
    """Whether a server lets us in."""
    end = asyncio.get_running_loop().time() + timeout_s
    while not bus.has_failed and asyncio.get_running_loop().time() < end:
        try:
            await bus.session(timeout_s=TRIED_S)
        except BusTimeoutError:
            continue
        return True
    return bus.is_connected
