"""One resource: what there is → desired → plan → steps → status. Called again and again, it ends in the same."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog

from kgents_operator.answers import again_s
from kgents_operator.config import Config
from kgents_operator.desired.network import opened, shut
from kgents_operator.desired.outcome import CLAIM, STATEFULSET, Desired, Observed, Place, Refusal, servers
from kgents_operator.desired.owner import DESIRED, RESTART, Owner
from kgents_operator.desired.postgres import CLUSTER
from kgents_operator.journal import Journal
from kgents_operator.kinds import BY_KIND
from kgents_operator.live import Live, Mark, live
from kgents_operator.managed import Managed
from kgents_operator.plan import Apply, Grow, Remove, foreign, plan
from kgents_operator.source import Writer
from kgents_operator.status import TIME, Figures, Findings, Seen, changes, differs, timed, unread
from kgents_operator.store import Objects, children
from kgents_shared.kubernetes.error import ApiError
from kgents_shared.runtime.clock import Clock

Json = dict[str, Any]

PAUSED: Final = "kgents.io/paused"
CONTESTED: Final = 3
"""So many repairs of one object within …"""
CONTESTED_S: Final = 600.0
"""… this time, in seconds, are a fight with somebody: then its repairs wait until the first of them is so old."""

LASTING: Final = 3
"""So many runs in a row fail of what may pass by itself until the status says so: a busy server gets no more to do."""

SERVERS: Final = (STATEFULSET, CLUSTER)
"""What has the data: its changes are in the audit trail."""

TIME_OF_EVENT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"

_log = structlog.get_logger(__name__)


class NameTaken(Exception):  # noqa: N818 - a finding, no error
    """An object of the name is somebody else's."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Remembered:
    """Of one resource, between two runs: what saves requests, and whether a fault passes or lasts."""

    def __init__(self) -> None:
        self.policy: tuple[Owner, str] | None = None  # what would become of its volumes
        self.applied: dict[Place, Mark] = {}
        self.repairs: defaultdict[Place, deque[float]] = defaultdict(deque)
        self.with_secrets: str | None = None  # the value of the annotation for which there are Secrets
        self.faults = 0  # runs in a row that failed


class Reconciler:
    """Makes and keeps what the resources of one kind stand for."""

    def __init__(
        self,
        kind: Managed,
        config: Config,
        writer: Writer,
        clock: Clock,
        stores: Mapping[str, Objects],
        figures: Callable[[str, Sequence[str]], Figures],
        closed: Callable[[Owner], Mapping[str, Json]],
        journal: Journal,
    ) -> None:
        """`closed`: the network policies of a resource that let nothing in now, since a Disruption asks for it.

        Each has the reference to what ends that where no operator runs.
        """
        self._kind = kind
        self._config = config
        self._writer = writer
        self._clock = clock
        self._stores = stores
        self._figures = figures
        self._closed = closed
        self._journal = journal
        self._remembered: defaultdict[str, Remembered] = defaultdict(Remembered)  # by uid

    def forget(self, uid: str) -> None:
        """A resource is gone."""
        if (policy := self._remembered.pop(uid, Remembered()).policy) is not None:
            self._journal.note(policy[0], "was deleted", before={"deletionPolicy": policy[1]})

    def compare_again(self) -> None:
        """Secrets may have been deleted, which no watch shows."""
        for each in self._remembered.values():
            each.with_secrets = None

    async def run(self, content: Json) -> float | None:
        """Do what is to be done for one resource; returns after how many seconds again.

        Raises:
            ApiError: the server refused something; the status says so already, if it could be written.
            TimeoutError: no answer in time.
        """
        owner, spec, refusal = self._read(content)
        remembered = self._remembered[owner.uid]
        if refusal is None:
            remembered.policy = owner, spec.deletion_policy
        annotations = content["metadata"].get("annotations") or {}
        is_paused = annotations.get(PAUSED) == "true"
        cut_error = await self._end_cuts(owner)
        found = self._children(owner)
        wanted = await self._desired(owner, spec, annotations, found)
        if refusal is not None:
            wanted = msgspec.structs.replace(wanted, refusal=refusal, objects=[])
        findings = Findings(refusal=wanted.refusal, is_paused=is_paused)
        error: ApiError | TimeoutError | None = None
        if not is_paused and wanted.refusal is None:
            findings, error = await self._do(owner, spec, annotations, wanted, found)
        error = error or cut_error
        remembered.faults = 0 if error is None else remembered.faults + 1
        if error is not None and passes(error) and remembered.faults < LASTING:
            raise error
        again = await self._say(content, owner, spec, wanted, findings)
        if error is not None:
            raise error
        return again

    async def _desired(
        self, owner: Owner, spec: Any, annotations: dict[str, str], found: Mapping[Place, Live]
    ) -> Desired[Any]:
        objects = {place: each.content for place, each in found.items()}
        is_served: bool | None = True if (CLUSTER, owner.name) in objects else None
        if is_served is None and self._kind.several_by and spec.replicas > 1:
            is_served = await self._writer.is_served(self._kind.several_by)
        observed = Observed(objects, is_cnpg_served=is_served)
        wanted = self._kind.desired(owner, spec, annotations, observed, self._config.images)
        closed = self._closed(owner)
        made = [
            shut(each, closed[name])
            if each["kind"] == "NetworkPolicy" and (name := each["metadata"]["name"]) in closed
            else each
            for each in wanted.objects
        ]
        return msgspec.structs.replace(wanted, objects=made)

    async def _end_cuts(self, owner: Owner) -> ApiError | TimeoutError | None:
        """First of all, and where nothing else is changed, too: whatever becomes of the resource, a cut ends in time.

        Returns why one could not be ended.
        """
        closed = self._closed(owner)
        try:
            for place, each in self._children(owner).items():
                if place[0] == "NetworkPolicy" and place[1] not in closed and (document := opened(owner, each.content)):
                    await self._apply(owner, Apply(place, document))
        except (ApiError, TimeoutError) as error:
            return error
        return None

    async def _do(
        self, owner: Owner, spec: Any, annotations: dict[str, str], wanted: Desired[Any], found: Mapping[Place, Live]
    ) -> tuple[Findings, ApiError | TimeoutError | None]:
        """Carry out the steps up to the first one that fails."""
        contested: list[str] = []
        growth_fault = ""
        refusal, fault, error = None, "", None
        try:
            await self._check_names(owner, wanted, found)
            made = await self._make_secrets(owner, spec, annotations, wanted)
            if made and any(kind in SERVERS for kind, _ in found):
                await self._say_renewed(owner, made)
            for step in plan(owner, wanted, found, self._remembered[owner.uid].applied):
                if isinstance(step, Grow):
                    growth_fault = await self._grow(owner, step)
                elif isinstance(step, Remove):
                    await self._writer.delete(BY_KIND[step.place[0]], owner.namespace, step.place[1], step.uid)
                    self._remembered[owner.uid].applied.pop(step.place, None)
                    self._journal.note(owner, f"{' '.join(step.place)} was removed", before={"uid": step.uid})
                elif step.is_repair and self._is_contested(owner, step.place):
                    contested.append(" ".join(step.place))
                else:
                    await self._apply(owner, step)
                    self._note_applied(owner, step, found.get(step.place))
        except NameTaken as found_other:
            refusal = found_other.refusal
        except (ApiError, TimeoutError) as failed:
            error, fault = failed, str(failed) or "no answer in time"
        findings = Findings(
            refusal=refusal,
            fault=fault,
            contested=contested,
            foreign=foreign(wanted, self._children(owner)),
            growth_fault=growth_fault,
        )
        return findings, error

    async def _check_names(self, owner: Owner, wanted: Desired[Any], found: Mapping[Place, Live]) -> None:
        """Read what no watch has shown: an object of the name that is not ours is never touched.

        Raises:
            NameTaken: there is one. Nothing was made then.
        """
        places = [(document["kind"], document["metadata"]["name"]) for document in wanted.objects]
        # A server that is not made yet would start on a volume of this name.
        made = {name for kind, name in places if kind == STATEFULSET and (kind, name) not in found}
        places += [(CLAIM, claim) for claim, statefulset in wanted.claims.items() if statefulset in made]
        for place in places:
            current = found.get(place)
            if current is None:
                answer = await self._writer.get(BY_KIND[place[0]], owner.namespace, place[1])
                current = live(answer) if answer is not None else None
            if current is not None and current.is_of_earlier(owner):
                message = (
                    f"{' '.join(place)} is of an earlier {owner.kind} of this name: nothing is made until it is gone"
                )
                raise NameTaken(Refusal("EarlierNotGone", message, is_final=False))
            if current is not None and not current.is_of(owner):
                message = (
                    f"expected no {' '.join(place)} of somebody else's, found one: nothing is changed; rename or "
                    "delete it, or choose another name"
                )
                raise NameTaken(Refusal("NameTaken", message))

    async def _make_secrets(
        self, owner: Owner, spec: Any, annotations: dict[str, str], wanted: Desired[Any]
    ) -> list[str]:
        """Those that are not there; returns their names."""
        rotation, made = f"{annotations.get(RESTART, '')}/{spec.tls.secret_name}", list[str]()
        if self._remembered[owner.uid].with_secrets == rotation:
            return made
        for document in self._kind.secrets(owner, wanted.names, spec, self._clock.now()):
            if await self._writer.create_secret(document):
                name = document["metadata"]["name"]
                made.append(name)
                _log.info("secret_made", namespace=owner.namespace, name=name)
                self._journal.note(owner, f"Secret {name} was made", after={"rotation": annotations.get(RESTART, "")})
        self._remembered[owner.uid].with_secrets = rotation
        return made

    async def _say_renewed(self, owner: Owner, secrets: list[str]) -> None:
        """Somebody has deleted Secrets of a server that runs with what was in them."""
        said = (
            f"{', '.join(secrets)} was made again with new content, which servers take when they start: until then "
            f"logins with it fail; try: kubectl annotate {owner.kind.lower()} {owner.name} {RESTART}=NEW --overwrite"
        )
        event = {"type": "Secrets", "status": "False", "reason": "SecretMadeAgain", "message": said}
        await self._writer.events(owner, [event], self._clock.now().strftime(TIME_OF_EVENT))

    async def _apply(self, owner: Owner, step: Apply) -> None:
        api = BY_KIND[step.place[0]]
        answer = await self._writer.apply(api, step.document)
        taken = self._stores[api.kind].put((owner.namespace, step.place[1]), answer)
        remembered = self._remembered[owner.uid]
        remembered.applied[step.place] = taken.mark
        if step.is_repair:
            remembered.repairs[step.place].append(self._clock.monotonic_s())
        _log.info("applied", kind=api.kind, namespace=owner.namespace, name=step.place[1], is_repair=step.is_repair)

    def _note_applied(self, owner: Owner, step: Apply, before: Live | None) -> None:
        """Of what has the data: that it was made, changed, or put right."""
        if step.place[0] not in SERVERS:
            return
        name, new, old = " ".join(step.place), shown(step.document), shown(before.content) if before else None
        if before is None:
            self._journal.note(owner, f"{name} was made", after=new)
        elif before.desired != step.document["metadata"]["annotations"][DESIRED]:
            self._journal.note(owner, f"{name} was changed", before=old, after=new)
        elif step.is_repair:
            self._journal.note(owner, f"{name} was put right", before={"version": before.version})

    async def _grow(self, owner: Owner, step: Grow) -> str:
        """Ask for a larger volume; returns why the server refuses it."""
        api = BY_KIND["PersistentVolumeClaim"]
        try:
            await self._writer.grow(api, owner.namespace, step.claim, step.size)
            self._journal.note(owner, f"{api.kind} {step.claim} is to grow", after={"size": step.size})
        except ApiError as error:
            if error.status in (403, 422):
                return str(error)
            raise
        return ""

    def _is_contested(self, owner: Owner, place: Place) -> bool:
        times, now_s = self._remembered[owner.uid].repairs[place], self._clock.monotonic_s()
        while times and now_s - times[0] > CONTESTED_S:
            times.popleft()
        return len(times) >= CONTESTED

    def _children(self, owner: Owner) -> dict[Place, Live]:
        stores = [each for kind, each in self._stores.items() if kind in BY_KIND]
        return children(stores, owner)

    async def doubt(self, content: Json, fault: str) -> None:
        """Say of one resource that its state is not known, since something cannot be read.

        Raises:
            ApiError: the server refused it.
            TimeoutError: no answer in time.
        """
        owner, before, now = self._owner(content), content.get("status") or {}, self._clock.now()
        after = unread(before, fault, now.strftime(TIME))
        await self._writer.put_status(self._kind.api, owner, after)
        (ready,) = (each for each in after["conditions"] if each["type"] == "Ready")
        if list(changes(before, {"conditions": [ready]})):  # one event, not one for each condition
            await self._writer.events(owner, [ready], now.strftime(TIME_OF_EVENT))

    async def _say(
        self, content: Json, owner: Owner, spec: Any, wanted: Desired[Any], findings: Findings
    ) -> float | None:
        """Write the status, if it is another one, and an event for each condition that changed.

        Returns after how many seconds it may be another one by itself.
        """
        objects = {place: each.content for place, each in self._children(owner).items()}
        figures = self._figures(owner.namespace, servers(wanted, objects))
        if figures.backend and figures.backend not in self._kind.backends:
            figures = Figures(fault="no pulses of this server")  # they are of another kind's of the same name
        generation = int(content["metadata"].get("generation", 0))
        before, now = content.get("status") or {}, self._clock.now()
        seen = Seen(spec, wanted, objects, findings, figures, generation, before, now)
        after = timed(self._kind.status(seen), before, now.strftime(TIME))
        if differs(before, after):
            await self._writer.put_status(self._kind.api, owner, after)
            await self._writer.events(owner, list(changes(before, after)), now.strftime(TIME_OF_EVENT))
        return again_s(after, now)

    def _read(self, content: Json) -> tuple[Owner, Any, Refusal | None]:
        """The resource; one that is not as its schema says, since that is an older one, is refused."""
        owner = self._owner(content)
        try:
            return owner, self._kind.read(content), None
        except msgspec.ValidationError as error:
            refusal = Refusal("InvalidSpec", f"expected what the CustomResourceDefinition says, found: {error}")
            return owner, self._kind.unreadable, refusal

    def _owner(self, content: Json) -> Owner:
        metadata, api = content["metadata"], self._kind.api
        return Owner(metadata["name"], metadata.get("namespace", ""), metadata["uid"], api.api_version, api.kind)


def passes(error: ApiError | TimeoutError) -> bool:
    """Whether it may be over by itself: no answer, a conflict, or a server that is busy or fails."""
    return isinstance(error, TimeoutError) or error.status in (0, 409, 429) or error.status >= 500


def shown(server: Json) -> Json:
    """What of a server is in the audit trail: its number and its images."""
    spec = server["spec"]
    containers = spec.get("template", {}).get("spec", {}).get("containers", ())
    images = [spec["imageName"]] if "imageName" in spec else [each["image"] for each in containers]
    return {"replicas": spec.get("instances", spec.get("replicas")), "images": images}
