"""Directories of manifests, read every minute → compared with what the cluster holds → attributes of its entities."""

import asyncio
import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog
from msgspec import structs

from kgents_collector_k8s.config import Config, Manifests
from kgents_collector_k8s.drifting import Drifting, ManifestSet, observed
from kgents_collector_k8s.inventory import Inventory
from kgents_collector_k8s.mapping import CATALOGUE
from kgents_collector_k8s.scopes import SELECTED, Scopes
from kgents_collector_k8s.truncation import Truncation
from kgents_shared.bus.deadline import Deadline
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.kubernetes.desired.drift import Live, Observed
from kgents_shared.kubernetes.desired.manifests import Manifest, manifests
from kgents_shared.kubernetes.desired.reading import ManifestError, Text, parsed, texts
from kgents_shared.runtime.service import Context

POLL_S: Final = 60.0
LISTING_S: Final = 0.5
"""How soon it is looked again whether the cluster has been listed."""
READ_S: Final = 90.0
"""Of one set: longer than kustomize may take."""

SELECTED_KINDS: Final = frozenset(each.kind for each in CATALOGUE if each.place in SELECTED)

_log = structlog.get_logger(__name__)


class Desired:
    """What the manifests of one cluster state, and how the cluster differs from it."""

    def __init__(
        self,
        context: Context[Config],
        inventory: Inventory,
        scopes: Scopes,
        unread: Callable[[], Sequence[Unread]],
        truncation: Truncation,
        drifting: Drifting,
        changed: asyncio.Event,
    ) -> None:
        """`changed` is set whenever an entity or `faults` may change."""
        self.faults: list[str] = []
        """Why a set cannot be read now."""
        self._context = context
        self._inventory = inventory
        self._scopes = scopes
        self._unread = unread
        self._truncation = truncation
        self._drifting = drifting
        self._changed = changed
        self._read: dict[str, tuple[str, list[Manifest]]] = {}  # by name: a digest of what was parsed
        self._thread = ThreadPoolExecutor(1, "manifests")  # its own: a directory of a network may hang

    async def run(self) -> None:
        """Compare once a minute, as soon as the cluster has been listed. Never returns."""
        while True:
            while self._scopes.is_listing:
                await self._context.clock.sleep(LISTING_S)
            await self._compare()
            await self._context.clock.sleep(POLL_S)

    async def _compare(self) -> None:
        sets = [await self._set(each) for each in self._context.config.manifests]
        stated = {one.kind for each in sets for one in each.manifests}
        live = await self._live(stated | {kinds.HPA, kinds.NAMESPACE})
        self._inventory.mark(
            ref
            for ref in self._drifting.compare(sets, live, self._context.clock.now())
            if self._inventory.is_shown(ref)
        )
        faults = [f"manifests {each.name}: {each.fault}" for each in sets if each.fault]
        for fault in set(faults) - set(self.faults):
            _log.warning("manifests_unreadable", reason=fault)
        self.faults = faults
        self._changed.set()

    async def _set(self, of: Manifests) -> ManifestSet:
        reading = asyncio.get_running_loop().run_in_executor(self._thread, self._manifests, of)
        try:
            async with Deadline(READ_S):
                return ManifestSet(of.name, await reading)
        except ManifestError as error:
            return ManifestSet(of.name, fault=str(error))
        except TimeoutError:
            return ManifestSet(of.name, fault=f"expected {of.path} to be read within {READ_S:.0f} s, it still is")

    def _manifests(self, of: Manifests) -> list[Manifest]:
        """What a set states; in a thread, and parsed only if it has changed."""
        found = texts(of.path)
        digest = _digest(found)
        before = self._read.get(of.name)
        if before is not None and before[0] == digest:
            return before[1]
        documents = parsed(found)
        stated = [one for file, each in documents for one in manifests(each, namespace=of.namespace, file=file)]
        if not stated:
            raise ManifestError(f"expected manifests (YAML with apiVersion and kind) in {of.path}, found none")
        self._read[of.name] = digest, stated
        return stated

    async def _live(self, of: Collection[str]) -> Live:
        slice_, objects, unread = TimeSlice(), dict[Ref, Observed](), self._unread()
        for ref in self._inventory.of_kinds(of):
            if (entity := self._inventory.shown(ref)) is not None:
                objects[ref] = observed(entity, unread)
            await slice_.checkpoint()
        return Live(self._context.cluster, objects, lambda ref: self._hidden(ref, unread))

    def _hidden(self, ref: Ref, unread: Sequence[Unread]) -> str:
        """Why an object of this name may exist although none is shown; empty: it does not."""
        scope = next((each for each in unread if structs.replace(each, part="").covers(ref)), None)
        if scope is not None:
            return f"not observed now: {scope.reason}"
        if self._truncation.counts()[ref.kind]:
            return f"more of kind {ref.kind} exist than `max_objects` shows"
        config = self._context.config
        if config.label_selector and ref.kind in SELECTED_KINDS:
            return "`label_selector` may leave it out"
        if ref.kind == kinds.HPA and ref.kind not in {each.kind for each in config.kinds}:
            return "`resources` leaves autoscalers out"
        return ""


def _digest(found: Iterable[Text]) -> str:
    digest = hashlib.sha256()
    for each in found:
        for text in (each.file, each.text):
            digest.update(f"{len(text)} {text}".encode())
    return digest.hexdigest()
