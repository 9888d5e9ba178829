"""What collectors find on this machine: entry points of the group `kgents.detect` → findings. No secret is read."""

from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Final

import msgspec

from kgents_cli.options import NATS_URL
from kgents_shared.contract.meta import EDGE_SYNC
from kgents_shared.runtime.detect import GROUP, Detected

COLLECTOR_NATS: Final = "collector-nats"


class Finding(msgspec.Struct, frozen=True):
    """What one service found, or what it would need."""

    service: str
    detected: Detected

    @property
    def text(self) -> str:
        """One sentence for a person."""
        found = self.detected
        if not found.where:
            return f"not found: needs {found.needs}"
        if found.problem:
            return f"found: {found.where}, but {found.problem}; needs {found.needs}"
        return f"found: {found.where}; collected by {self.service}"


def detect(environ: Mapping[str, str]) -> list[Finding]:
    """Ask every installed service. Each of its probes has a deadline; one that cannot be asked says so.

    Where no NATS is named, it is the one of `kgents up`, whose monitoring port collector-nats is given.
    """
    findings: list[Finding] = []
    is_own_nats = NATS_URL not in map(str.upper, environ)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if is_own_nats and entry.name == COLLECTOR_NATS:
            continue
        try:
            found = entry.load()(environ)
        except Exception as error:  # noqa: BLE001 - a fault of one service hides none of what the others find
            found = [Detected(entry.name, needs=f"a version whose detection works, found {type(error).__name__}")]
        findings += [Finding(entry.name, each) for each in found]
    return findings


ASKED_FOR: Final = frozenset({"archiver", EDGE_SYNC, "operator", "otlp-exporter"})
"""Services that have nothing to do unless the configuration says where: nothing here is theirs to find."""


def useful(findings: Sequence[Finding], installed: Collection[str], addressed: Collection[str]) -> list[str]:
    """The services that have something to do here: all but those that found nothing that they can use.

    Args:
        findings: what was found.
        installed: the services there are.
        addressed: those that the configuration says something to: what they collect may be elsewhere.
    """
    idle = {each.service for each in findings} - {each.service for each in findings if each.detected.is_usable}
    idle |= ASKED_FOR
    return [name for name in installed if name in addressed or name not in idle]
