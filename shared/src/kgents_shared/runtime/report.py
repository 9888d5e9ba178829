"""Every fault of a configuration, each once, as one line for people → `ConfigError`."""

from collections.abc import Iterable

from kgents_shared.contract.section import Fault
from kgents_shared.runtime.settings import Key, dotted


class Report:
    """The faults found so far, and which settings are at fault."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}
        self._unusable: set[str] = set()

    @property
    def lines(self) -> tuple[str, ...]:
        """`kgents.yaml: nats.url: expected …, found …; try: …`, in the order in which they were found."""
        return tuple(self._lines)

    def add(self, source: str, fault: Fault) -> None:
        """Add a fault of a source itself: a file, a key or variable that is not known."""
        self._lines[f"{source}: {fault}" if source else str(fault)] = None

    def give_up(self, key: Key) -> None:
        """Note that a setting has no usable value: faults of rules that depend on it are not reported."""
        self._unusable.add(dotted(key))

    def add_rules(self, at: Key, faults: Iterable[Fault], sources: Iterable[str]) -> None:
        """Add the faults of a section's rules, except those that depend on unusable values.

        Args:
            at: the section's key.
            faults: what its rules found.
            sources: where its values come from.
        """
        prefix = ", ".join(sources)
        broken: set[str] = set()
        for fault in faults:
            names = {_within(at, name) for name in (fault.at, *fault.beside)}
            if not any(self._is_unusable(name) for name in names):
                self.add(prefix, Fault(_within(at, fault.at), fault.expected, fault.found, fault.advice))
                broken |= names - {dotted(at)}
        self._unusable |= broken

    def _is_unusable(self, name: str) -> bool:
        return any(name == each or name.startswith((f"{each}.", f"{each}[")) for each in self._unusable)


def _within(at: Key, name: str) -> str:
    return dotted((*at, name)) if name else dotted(at)
