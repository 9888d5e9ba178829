"""One Disruption: recorded in the audit trail, then done, ended in time, and recorded again."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec
import structlog

from kgents_operator.decision import FINAL, Decision, decide, is_cut, left_s, policy_of
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.timer import reference, timer
from kgents_operator.journal import Trail
from kgents_operator.kinds import DISRUPTION_API, PODS
from kgents_operator.reconcile import PAUSED, TIME_OF_EVENT, passes
from kgents_operator.resources.disruption import Disruption, Named, Spec, Status
from kgents_operator.source import Writer
from kgents_operator.status import TIME, Answer, changes, conditions, timed
from kgents_operator.store import Objects
from kgents_shared.contract.audit import BEGUN, DISRUPT, AuditRecord, ended
from kgents_shared.contract.errors import BusError
from kgents_shared.kubernetes.error import ApiError
from kgents_shared.kubernetes.sink import Key
from kgents_shared.runtime.clock import Clock

Json = dict[str, Any]

AGAIN_S: Final = 10.0
"""Until what was refused for now is tried again."""
ALONE: Final = (
    "expected a second operator that stands by, found none: if this one were lost, nothing would end the cut; run "
    "two: services.operator.replicas=2 of the chart"
)
FOR_NOW: Final = ("NotNow", "NoPods", "NotRecorded")

_log = structlog.get_logger(__name__)


class Targets(Protocol):
    """The resources of one kind."""

    def content(self, key: Key) -> Json | None:
        """A resource as it is; None: there is none."""

    def touch(self, key: Key) -> None:
        """It is its turn."""


class Disrupter:
    """Keeps nothing that matters: what was begun is in the status."""

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        trail: Trail,
        targets: Mapping[str, Targets],
        has_standby: Callable[[], bool],
        image: str,
    ) -> None:
        """`has_standby`: whether another operator would take over. `image`: of a container that never runs."""
        self._writer = writer
        self._clock = clock
        self._trail = trail
        self._targets = targets
        self._has_standby = has_standby
        self._image = image
        self._known: dict[str, tuple[str, Key]] = {}  # uid → kind and name of its target

    async def run(self, content: Json) -> float | None:
        """Do what is to be done for one of them; returns after how many seconds again.

        Raises:
            ApiError: the server refused something.
            TimeoutError: no answer in time.
        """
        owner = owner_of(content)
        try:
            spec = msgspec.convert(content, Disruption).spec
            before = msgspec.convert(content.get("status") or {}, Status)
        except msgspec.ValidationError as error:
            _log.warning("disruption_unreadable", name=owner.name, namespace=owner.namespace, error=str(error))
            return None
        self._known[owner.uid] = spec.target.kind, (owner.namespace, spec.target.name)
        generation = int(content["metadata"].get("generation", 0))
        pods, refusal = await self._found(owner, spec, before)
        decision = decide(spec, before, generation, pods, refusal, self._clock.now())
        record = recorded(owner, spec, decision.status, self._trail.cluster)
        if decision.act == "begin":
            decision = await self._begin(owner, spec, before, decision, record)
        elif decision.reason == "Deleted":
            for each in decision.status.pods:
                await self._writer.delete(PODS, owner.namespace, each.name, each.uid)
        await self._say(owner, content.get("status") or {}, generation, decision)
        self._touch(owner.uid)  # its target goes by the new status
        if decision.act == "end":
            await self._conclude(ended(record, after={"ended": decision.reason}))
        if decision.status.phase == "Running":
            return left_s(decision.status, self._clock.now())
        return AGAIN_S if decision.reason in FOR_NOW else None

    async def _begin(
        self, owner: Owner, spec: Spec, before: Status, decision: Decision, record: AuditRecord
    ) -> Decision:
        """Record it, and let Kubernetes know when a cut is over. What cannot be recorded does not begin."""
        try:
            await self._trail.record(record)
        except BusError as error:
            return Decision(before, "NotRecorded", f"nothing is done without a record of it: {error}")
        if spec.action != "CutNetwork":
            return decision
        made = (await self._writer.start_timer(timer(owner, self._image, spec.duration_seconds)))["metadata"]
        begun = msgspec.structs.replace(decision.status, timer=Named(name=made["name"], uid=made["uid"]))
        return msgspec.structs.replace(decision, status=begun)

    async def _found(self, owner: Owner, spec: Spec, before: Status) -> tuple[list[Json], str]:
        """The pods that it may take, and why the target can lose none now."""
        if before.phase in FINAL:
            return [], ""
        target, key = spec.target, (owner.namespace, spec.target.name)
        resource = self._targets[target.kind].content(key)
        if resource is None:
            return [], f"expected the {target.kind} {target.name} in this namespace, found none"
        if (resource["metadata"].get("annotations") or {}).get(PAUSED) == "true":
            return [], f"the {target.kind} {target.name} is paused: nothing of it is changed"
        if spec.action == "CutNetwork" and before.phase != "Running" and (lack := await self._lack(owner, spec)):
            return [], lack
        return await self._writer.pods(owner.namespace, selected(owner, spec)), ""

    async def _lack(self, owner: Owner, spec: Spec) -> str:
        """What would not end a cut; empty: it ends whatever becomes of this operator."""
        if not self._has_standby():
            return ALONE
        try:
            await self._writer.start_timer(timer(owner, self._image, spec.duration_seconds), is_trial=True)
        except ApiError as error:
            if passes(error):
                raise
            return f"expected to make the Job that ends the cut where no operator runs, found: {error}"
        return ""

    async def _say(self, owner: Owner, before: Json, generation: int, decision: Decision) -> None:
        is_accepted = decision.status.phase != "Refused" and decision.reason != "NotRecorded"
        answer = Answer("Accepted", "True" if is_accepted else "False", decision.reason, decision.message)
        status = msgspec.structs.replace(decision.status, conditions=conditions([answer], generation))
        now = self._clock.now()
        after = timed(status, before, now.strftime(TIME))
        if after == before:
            return
        await self._writer.put_status(DISRUPTION_API, owner, after)
        await self._writer.events(owner, list(changes(before, after)), now.strftime(TIME_OF_EVENT))

    async def _conclude(self, record: AuditRecord) -> None:
        """It is over, whether or not that can be recorded."""
        try:
            await self._trail.record(record)
        except BusError as error:
            _log.error("audit_outcome_not_recorded", action=record.action, id=record.id, why=str(error))

    def forget(self, uid: str) -> None:
        """One is gone, and so is what it has cut."""
        self._touch(uid)
        self._known.pop(uid, None)

    def _touch(self, uid: str) -> None:
        if (known := self._known.get(uid)) is not None:
            self._targets[known[0]].touch(known[1])

    def compare_again(self) -> None:
        """Nothing of it is only in memory."""

    async def doubt(self, content: Json, fault: str) -> None:
        """What is not known is neither begun nor said."""


def owner_of(content: Json) -> Owner:
    """A Disruption, as what its status is written for."""
    metadata, api = content["metadata"], DISRUPTION_API
    return Owner(metadata["name"], metadata["namespace"], metadata["uid"], api.api_version, api.kind)


def selected(owner: Owner, spec: Spec) -> dict[str, str]:
    """The labels of the pods that it may take: of a network all that the policy is for."""
    target = spec.target
    found = Owner(target.name, owner.namespace, "", "", target.kind)
    if spec.action == "CutNetwork" and target.kind == "RedisCluster":
        return {found.label: target.name, "app.kubernetes.io/name": "redis"}
    return found.selector(target.component)


def closed(disruptions: Objects, owner: Owner, clock: Clock) -> dict[str, Json]:
    """The network policies of a resource that let nothing in now, each with the reference to what ends that."""
    found, now = dict[str, Json](), clock.now()
    for (namespace, _), each in disruptions.found.items():
        try:
            spec = msgspec.convert(each.content, Disruption).spec
            status = msgspec.convert(each.content.get("status") or {}, Status)
        except msgspec.ValidationError:
            continue  # of a definition of another version: what it asks for is not known, and not done
        target = spec.target
        is_of = (namespace, target.kind, target.name) == (owner.namespace, owner.kind, owner.name)
        if is_of and status.timer is not None and is_cut(spec, status, now):
            found[policy_of(target)] = reference(status.timer.name, status.timer.uid)
    return found


def recorded(owner: Owner, spec: Spec, status: Status, cluster: str) -> AuditRecord:
    """That it begins. Who made it is in the audit log of Kubernetes alone."""
    pods = [each.name for each in status.pods]
    target = f"{spec.target.kind} {owner.namespace}/{spec.target.name}"
    return AuditRecord(
        text=f"{spec.action} of {', '.join(pods)}: {spec.reason}",
        cluster=cluster,
        action=DISRUPT,
        id=owner.uid,
        stage=BEGUN,
        by=f"Disruption {owner.namespace}/{owner.name}",
        via="service",
        target=target,
        before={"pods": pods},
        after={"action": spec.action, "ends_at": status.ends_at},
    )
