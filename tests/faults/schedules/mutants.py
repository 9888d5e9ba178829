"""Faults made on purpose in a copy of the product: a checker that lets one of them pass is worth nothing.

`make faults MUTANTS=1` runs each on a site of its own with steps that need the guarantee, and prints what was found.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faults.schedules import schedule
from faults.schedules.site import TESTS, make_site

ROOT: Final = TESTS.parent
SEEDS: Final = 3
"""Tries: what a step hits is drawn."""


@dataclass(frozen=True)
class Mutant:
    """A change of the product that breaks one guarantee."""

    guarantee: str
    what: str
    file: str
    old: str
    new: str
    steps: tuple[str, ...]
    """The schedule that needs the guarantee."""


MUTANTS: Final = (
    Mutant(
        "G1", "what is the same for a subscriber is published",
        "services/topology-builder/src/kgents_topology_builder/difference.py",
        "        published.status == wanted.status\n", "        published.status == wanted.status and False\n",
        ("kill",),
    ),
    Mutant(
        "G2", "a collector does not remove what is gone",
        "services/collector-k8s/src/kgents_collector_k8s/app.py",
        "            await self._sweep()\n", "            pass\n",
        ("away and gone", "away and gone"),
    ),
    Mutant(
        "G3", "what a collector could not list counts as gone",
        "services/collector-k8s/src/kgents_collector_k8s/scopes.py",
        "        return not any(\n            each.kind.kind == own\n",
        "        return True or not any(\n            each.kind.kind == own\n",
        ("blind start", "blind start", "blind start", "blind start"),
    ),
    Mutant(
        "G3", "a dead collector attests its entities until it is back",
        "services/topology-builder/src/kgents_topology_builder/sources.py",
        "        self._beats.pop(instance, None)\n", "        pass\n",
        ("silence",),
    ),
    Mutant(
        "G4", "each instance has a lease of its own",
        "shared/src/kgents_shared/bus/lease.py",
        "instance=meta.LEASE)\n", 'instance=f"{meta.LEASE}-{instance}")\n',
        ("second", "second", "second", "second"),
    ),
    Mutant(
        "G4", "a message does not name the one that it replaces",
        "shared/src/kgents_shared/bus/desired.py",
        "        found = {EXPECTED_SEQUENCE: str(seq)}\n", "        found: dict[str, str] = {}\n",
        ("kill",),
    ),
    Mutant(
        "G5", "the audit is off",
        "shared/src/kgents_shared/bus/state_table.py",
        "            tasks.create_task(self._audit.run())\n", "",
        ("overwrite", "purge", "limit", "overwrite"),
    ),
    Mutant(
        "G6", "samples and events have no id",
        "shared/src/kgents_shared/bus/log.py",
        '{MESSAGE_ID: f"{self._id_prefix}{id_}", **(trace or {})}', "{**(trace or {})}",
        ("link", "duplicate"),
    ),
    Mutant(
        "G7", "what cannot be read is passed over in silence",
        "shared/src/kgents_shared/bus/dead_letters.py",
        "        await self._send(self.subject_of(delivery), encode(letter))\n",
        "        (self.subject_of(delivery), encode(letter))\n",
        ("poison", "poison", "poison"),
    ),
    Mutant(
        "G8", "a dead letter keeps the payload",
        "shared/src/kgents_shared/bus/dead_letters.py",
        "            reason=reason,\n", "            reason=reason + repr(delivery.payload[:200]),\n",
        ("poison", "poison", "poison", "poison"),
    ),
    Mutant(
        "G9", "what is on disk stays there",
        "shared/src/kgents_shared/bus/log.py",
        "        if self._delivered:\n", "        if False:\n",
        ("nats away", "nats away"),
    ),
    Mutant(
        "G10", "the state table publishes what the stream already holds",
        "shared/src/kgents_shared/bus/state_table.py",
        "        return is_known or self._same(published, desired.message)\n", "        return False\n",
        ("restart",),
    ),
)  # fmt: skip


class StaleMutantError(Exception):
    """The line that a mutant changes is not in the product any more."""


async def run_all(only: str = "") -> int:
    """Run every mutant, or those of one guarantee; returns how many were not caught."""
    missed = 0
    for mutant in MUTANTS:
        if only in ("", mutant.guarantee):
            found = await caught(mutant)
            missed += not found
            print(f"{mutant.guarantee} | {mutant.what} | {found or 'NOT CAUGHT'}", flush=True)
    return missed


async def caught(mutant: Mutant) -> str:
    """What the checker says of the guarantee that a mutant breaks; empty if it says nothing of it."""
    with tempfile.TemporaryDirectory(prefix="kgents-mutant-") as directory:
        overlay = _mutated(mutant, Path(directory) / "source")
        async with make_site(Path(directory) / "site", nodes=1, overlay=overlay) as site:
            for seed in range(SEEDS):
                result = await schedule.run(site, seed, names=list(mutant.steps))
                if found := next((each for each in result.faults if each.startswith(f"{mutant.guarantee}:")), ""):
                    return found
    return ""


def _mutated(mutant: Mutant, to: Path) -> list[Path]:
    """A copy of all sources with the change in it; what to put before the sources on the path."""
    members = [ROOT / "shared", *sorted(ROOT.glob("services/*"))]
    for member in members:
        if (member / "src").is_dir():
            shutil.copytree(
                member / "src", to / member.relative_to(ROOT) / "src", ignore=shutil.ignore_patterns("__pycache__")
            )
    file = to / mutant.file
    text = file.read_text()
    if text.count(mutant.old) != 1:
        raise StaleMutantError(f"{mutant.guarantee} {mutant.what}: expected its line once in {mutant.file}")
    file.write_text(text.replace(mutant.old, mutant.new))
    return sorted(to.rglob("src"))
