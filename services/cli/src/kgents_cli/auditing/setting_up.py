"""What is done in the directory of a hub → its records, by the hub's own login where its key is there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import structs

from kgents_cli.auditing.late import kept
from kgents_cli.auditing.recording import recorded, written
from kgents_cli.options import Target
from kgents_shared.contract.errors import ConfigError


@asynccontextmanager
async def recorded_at(
    hub: Path,
    target: Target,
    action: str,
    edge: str,
    *,
    about: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AsyncIterator[None]:
    """Record what is done with an edge in the directory of its hub; it is kept until there is a trail.

    `about`: what is written; empty: the edge.

    Raises:
        BusError: the audit trail is there, and does not take the record; the block is not entered.
    """
    record = written(edge, action, about or f"edge {edge}", before=before, after=after)
    file = hub / "kgents.yaml"
    is_of_hub = target.config_file is None and file.exists()
    try:
        common = (structs.replace(target, config_file=file) if is_of_hub else target).load()
    except ConfigError as error:
        if not is_of_hub:
            raise
        with kept(hub, record, error.faults[0]):  # such as certificates that are not there yet
            yield
        return
    async with recorded(common, record, hub=hub):
        yield
