"""A pulse → its figures by name, whatever its layout. Pure."""

from typing import Final

import msgspec

from kgents_shared.contract.pulse import ALL, DatabasePulse, Pulse, ResourcePulse
from kgents_shared.contract.vocabulary.figures import resource

RESOURCES: Final = (
    resource.CPU_PERCENT,
    resource.MEMORY_BYTES,
    resource.MEMORY_LIMIT_BYTES,
    resource.NETWORK_RX_BYTES,
    resource.NETWORK_TX_BYTES,
)
"""The fields of a resource pulse."""
_SECTIONS: Final = ("pool", "memory", "collections", "performance", "storage", "pubsub", "replication")


def figures(pulse: Pulse | None) -> dict[str, float | None]:
    """Every figure of a pulse by its name, those of a section as `pool.active`."""
    if pulse is None:
        return {}
    own: dict[str, float | None]
    if isinstance(pulse, DatabasePulse):
        own = {f"{section}.{name}": value for section in _SECTIONS for name, value in _section(pulse, section).items()}
        own["morphisms"] = pulse.morphisms
    elif isinstance(pulse, ResourcePulse):
        own = {name: getattr(pulse, name) for name in RESOURCES}
    else:
        own = {}
    return {**{name: value for name, value in own.items() if value is not None}, **pulse.custom}


def known_figures(pulse: Pulse) -> dict[str, float | None]:
    """The same with those that apply and are not known now, as None."""
    is_nothing_read = ALL in pulse.unread and isinstance(pulse, ResourcePulse)
    unread = RESOURCES if is_nothing_read else [name for name in pulse.unread if name != ALL]
    return {**dict.fromkeys(unread), **figures(pulse)}


def _section(pulse: DatabasePulse, name: str) -> dict[str, float | None]:
    values = getattr(pulse, name)
    found: dict[str, float | None] = msgspec.to_builtins(values) if values is not None else {}
    return found
