"""A section of the configuration: settings that find all their own faults → `runtime.config` reports them.

`faults` checks the values themselves and is pure; `check` checks what they name on this machine, such as files.
The loader runs both, also on a section in which other values are wrong, so that one run shows every fault.
"""

from collections.abc import Iterator

from msgspec import Struct

from kgents_shared.contract.address import of_url


class Fault(Struct, frozen=True):
    """One reason why a section cannot be used. Its text never holds a secret."""

    at: str
    """The setting within the section: `url`, `tls.ca_file`, `engines[1].name`; empty: the section itself."""

    expected: str
    found: str

    advice: str
    """What to try: `try: nats://host:4222`, `set password too`."""

    beside: tuple[str, ...] = ()
    """The other settings that the rule depends on. If one of them is unusable, the fault is not reported."""

    def __str__(self) -> str:
        prefix = f"{self.at}: " if self.at else ""
        return f"{prefix}expected {self.expected}, found {self.found}; {self.advice}"


class InvalidSectionError(ValueError):
    """Values that contradict a section's own rules."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("\n".join(map(str, faults)))


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every part of the configuration. No instance breaks its own rules, however it was made.

    Raises:
        InvalidSectionError: on construction, with every fault that `faults` found.
    """

    def __post_init__(self) -> None:
        if found := tuple(self.faults()):
            raise InvalidSectionError(found)

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of the values themselves. Each value has its type; nothing else is guaranteed."""
        yield from ()

    def check(self) -> Iterator[Fault]:
        """Yield the faults found on this machine, such as unreadable files. May read, never writes."""
        yield from ()


def unusable_url(at: str, url: str, schemes: tuple[str, ...], example: str) -> Iterator[Fault]:
    """Yield what is wrong with a url: its scheme, its host, its port, a login in it.

    Args:
        at: the setting that holds it.
        url: what was given. It is not quoted when it has an @, since a password may stand before it.
        schemes: those that are supported.
        example: a valid url.
    """
    if "@" in url:
        advice = "urls are logged: use the settings for a login instead"
        yield Fault(at, "a url without user or password", "an @", advice)
        return
    try:
        host, _ = of_url(url)
        is_usable = url.startswith(tuple(f"{scheme}://" for scheme in schemes)) and host != ""
    except ValueError:  # a port that is no number up to 65535, or half a bracket
        is_usable = False
    if not is_usable or any(character.isspace() for character in url):
        known = " or ".join(f"{scheme}://" for scheme in schemes)
        yield Fault(at, f"a url of {known} with a host", f'"{url}"', f"try: {example}")
