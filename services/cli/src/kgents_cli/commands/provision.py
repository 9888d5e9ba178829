"""`kgents provision`: contract.streams → the difference to the server → the server."""

import asyncio
from pathlib import Path

import click
import msgspec

from kgents_cli.auditing.late import record_kept
from kgents_cli.auditing.recording import provisioned
from kgents_cli.connection import connected
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import say, say_record
from kgents_shared.bus import provision
from kgents_shared.bus.copies import plan_copies
from kgents_shared.bus.elsewhere import require_one_store_of
from kgents_shared.bus.provision import Change, Plan, Step, Update
from kgents_shared.contract.streams import copies, streams
from kgents_shared.runtime.config import CommonConfig


@click.command("provision")
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@output_option("text", "json")
@target_options
def command(dry_run: bool, output: str, target: Target) -> None:
    """Create or update the streams on the server. A change that would lose messages is refused.

    \b
    Examples:
      kgents provision --dry-run
      kgents provision --nats nats://nats:4222 --creds admin.creds
    """  # noqa: D301
    hub = target.config_file.parent if target.config_file is not None else None
    asyncio.run(_provision(target.load(), hub, dry_run=dry_run, as_json=output == "json"))


async def _provision(common: CommonConfig, hub: Path | None, *, dry_run: bool, as_json: bool) -> None:
    async with connected(common) as bus:
        session = await bus.session()
        plan = await provision.plan(session, streams(common.streams))
        _show(plan, as_json=as_json)
        await require_one_store_of(session, plan)
        if not dry_run:
            await provisioned(bus, plan, common)
            if hub is not None:
                await record_kept(bus, hub)
        if kept := copies(common.streams):  # once there are the streams that they copy
            plan = await plan_copies(session, kept)
            _show(plan, as_json=as_json)
            if not dry_run:
                await provisioned(bus, plan, common)


def _show(plan: Plan, *, as_json: bool) -> None:
    for step in plan.steps:
        if as_json:
            say_record(msgspec.json.encode(_record(step)))
        else:
            say(str(step))


def _record(step: Step) -> dict[str, object]:
    changes: tuple[Change, ...] = step.changes if isinstance(step, Update) else ()
    return {"action": type(step).__name__.lower(), "stream": step.stream, "text": str(step), "changes": changes}
