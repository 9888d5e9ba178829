"""The services installed beside us: entry points of the group `kgents.services`, by name; loaded only to be run."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from kgents_cli.suggestion import did_you_mean
from kgents_shared.contract.errors import KgentsError

GROUP: Final = "kgents.services"


def service_names() -> list[str]:
    """The names of all installed services; none of them is imported."""
    return sorted(entry_points(group=GROUP).names)


def entry_point(name: str) -> EntryPoint:
    """One service's entry point.

    Raises:
        KgentsError: there is none; the text says which name was probably meant.
    """
    found = entry_points(group=GROUP)
    if name not in found.names:
        raise KgentsError(f"no service {name!r} is installed; {did_you_mean(name, found.names)} See `kgents services`")
    return found[name]


def load_service(name: str) -> Any:
    """Import a service and return its `runtime.service.Service` (of a configuration type that only it knows).

    Raises:
        KgentsError: there is none, or its installation is broken.
    """
    entry = entry_point(name)
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        package = f"kgents-{name}"
        raise KgentsError(
            f"cannot import {entry.value}: {error}; install {package} again, then `kgents run {name}`"
        ) from error
