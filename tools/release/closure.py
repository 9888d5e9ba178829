"""A member of the project → the lines of requirements.lock that it needs, each with its hashes.

What needs what is read from the metadata in .venv, which matches the lock: no registry is asked.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
LOCK: Final = ROOT / "requirements.lock"
OWN: Final = "kgents-"
"""How the names of our own packages begin: they are built here and not in the lock."""
_ENTRY: Final = re.compile(r"^[A-Za-z0-9].*?(?:\n(?=[A-Za-z0-9#])|\Z)", re.DOTALL | re.MULTILINE)


def environment_of(python: str) -> dict[str, str]:
    """What markers are compared with: a Linux machine with this minor version of Python, in its newest release."""
    own: dict[str, str] = {**default_environment()}  # type: ignore[dict-item] # a TypedDict whose values are all texts
    return {
        **own, "python_version": python, "python_full_version": f"{python}.99",
        "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix",
    }  # fmt: skip


def entries(lock: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The lock as name → `name==version` with its hashes, without what other platforms need."""
    found: dict[str, str] = {}
    for match in _ENTRY.finditer(lock):
        head, *hashes = re.split(r"\s*\\\s*\n\s*", match[0].strip())
        requirement = Requirement(head)
        if requirement.marker is None or requirement.marker.evaluate(dict(environment)):
            name = canonicalize_name(requirement.name)
            found[name] = " \\\n    ".join([f"{requirement.name}{requirement.specifier}", *hashes])
    return found


def needed(package: str, environment: Mapping[str, str]) -> set[str]:
    """The names of all that a package needs, and its own."""
    found: dict[str, set[str]] = {}
    _collect(package, frozenset({""}), environment, found)
    return set(found)


def requirements(package: str, environment: Mapping[str, str], lock: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """What a package needs: names of our own packages, and entries of the lock.

    Raises:
        ValueError: something needed is not in the lock.
    """
    names = sorted(needed(package, environment))
    own = [name for name in names if name.startswith(OWN)]
    others = [name for name in names if not name.startswith(OWN)]
    if missing := [name for name in others if name not in lock]:
        raise ValueError(f"expected {', '.join(missing)} in requirements.lock, found nothing; try: make lock")
    return own, [lock[name] for name in others]


def _collect(package: str, extras: frozenset[str], environment: Mapping[str, str], found: dict[str, set[str]]) -> None:
    name = canonicalize_name(package)
    fresh = extras - found.setdefault(name, set())
    found[name] |= fresh
    for each in _required(name, fresh, environment):
        _collect(each.name, frozenset({"", *each.extras}), environment, found)


def _required(name: str, extras: frozenset[str], environment: Mapping[str, str]) -> Iterator[Requirement]:
    for line in (_metadata(name).requires or ()) if extras else ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in extras):
            yield requirement


def _metadata(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise ValueError(f"expected {name} in .venv, found nothing; try: make setup") from None
