"""The services installed beside us: entry points of the group `kgents.services`, by name; loaded only to be run."""

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from kgents_cli.suggestion import did_you_mean
from kgents_shared.contract.errors import KgentsError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

GROUP: Final = "kgents.services"


def service_names() -> list[str]:
    """The names of all installed services; without importing any."""
    return sorted(_entry_points().names)


def entry_point(name: str) -> "EntryPoint":
    """One service's entry point.

    Raises:
        KgentsError: there is none; the text says which name was probably meant.
    """
    found = _entry_points()
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


@cache
def _entry_points() -> "EntryPoints":
    """Read once: it takes 10 ms, and what is installed does not change under a process."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to import, and most commands do not need it

    return entry_points(group=GROUP)
