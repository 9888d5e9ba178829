"""What a check is: catalogue modules fill these Structs → `scored_entity.py` asks them → a Reason in a Health message.

Five sorts, by what they read:

- `StateCheck`: a fact that either holds or not (a status, a reason). Acts at once: its source has already confirmed it.
- `AgeCheck`: how long a fact has held. Acts as soon as the time is over.
- `RestartCheck`: how often it was restarted within an hour. Lasts until it has run for the calm time.
- `SampleCheck`: one figure of a pulse. Needs two of the last three samples, since a single one may be a blip.
  `IntervalCheck`, one of them: a share that was estimated from a sample.
- `SeriesCheck`: one figure of a pulse, or of each connection in it, mostly against what is usual for it.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Final, Literal

import msgspec
from msgspec import UNSET

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Edge, UnknownFigure
from kgents_shared.contract.pulse import Pulse, Reading
from kgents_shared.contract.quantity import counted, worded
from kgents_shared.contract.section import Fault, Section
from kgents_shared.contract.sketch import Histogram
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes, otel
from kgents_shared.contract.vocabulary.figures.figure import FigureName
from kgents_shared.contract.vocabulary.kinds import KindName


class Thresholds(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From where on a value is bad, in the check's own unit; a threshold that is None is never passed."""

    warn: float | None = None
    """To be dealt with within days."""
    crit: float | None = None
    """To be dealt with now."""
    fatal: float | None = None
    """It cannot be worse. Needs `crit`, for the way there is critical."""

    def faults(self) -> Iterator[Fault]:
        for name in ("warn", "crit", "fatal"):
            value: float | None = getattr(self, name)
            if value is not None and not math.isfinite(value):
                yield Fault(name, "a finite number", str(value), "remove it: a threshold that is not set never acts")
        if not self.given:
            advice = "list the check in disabled_checks instead"
            yield Fault("", "warn or crit", "neither", advice, beside=("warn", "crit", "fatal"))
        if self.fatal is not None and self.crit is None:
            yield Fault("fatal", "crit beside fatal", "none", "set crit too", beside=("crit",))

    @property
    def given(self) -> tuple[float, ...]:
        """Those that are set, mildest first."""
        return tuple(each for each in (self.warn, self.crit, self.fatal) if each is not None)


class Kin(msgspec.Struct, frozen=True, gc=False):
    """What is known of the entities that own it, or that it owns."""

    pod: TopologyEntity | None = None
    """The pod of a container, or the pod itself."""
    controller: TopologyEntity | None = None
    """The workload or Job of a pod and its containers, the CronJob of a Job."""
    jobs: tuple[TopologyEntity, ...] = ()
    """The Jobs of a CronJob; of a Job of one: its siblings."""
    measured: frozenset[str] = frozenset()
    """Checks that are judged by figures of containers of this pod."""
    has_bad_pods: bool = False
    """Whether a check has found something in a pod of this workload, or behind this Service."""


class State(msgspec.Struct, frozen=True, gc=False):
    """What is known of one entity beside its figures."""

    entity: TopologyEntity
    status_age_s: float
    """How long its status has been what it is."""
    silent: tuple[str, ...]
    """Sources that used to send samples and have missed three in a row."""
    unknown: tuple[UnknownFigure, ...] = ()
    """Figures whose finding was not confirmed for too long, since they are `null`."""
    reason_age_s: float = 0.0
    """How long its status and its reason have been what they are."""
    kin: Kin = Kin()
    lost_service: bool = False
    """Whether it served until its status became what it is, and was neither scaled, moved nor updated."""
    is_evicted: bool = False
    """Whether it did so because its pods were evicted on purpose."""
    now: datetime | None = None

    @property
    def is_ending(self) -> bool:
        """Whether it stops as desired, or no longer counts: then nothing of it is a failure."""
        is_deleted = kubernetes.DELETION_GRACE_PERIOD in self.entity.attributes
        return is_deleted or self.entity.status in ("terminating", "succeeded") or is_past(self.entity, self.kin)

    @property
    def may_restart(self) -> bool:
        """Whether the kubelet may start it again: its pod is not over."""
        pod = self.kin.pod
        return pod is not None and pod.attributes.get(otel.K8S_POD_STATUS_PHASE) in ("Running", "Pending")

    @property
    def word(self) -> str:
        """Its reason, also of an init container: `Init:CrashLoopBackOff` → `CrashLoopBackOff`."""
        return self.entity.reason.removeprefix("Init:")


def is_past(entity: TopologyEntity, kin: Kin) -> bool:
    """Whether another one has taken its place, which is judged instead, or it ends with its pod.

    A controller replaces a pod that is over, and is judged by what it has then: the failed try of a Job, an evicted
    pod. Of the finished runs of a CronJob only the last one counts.
    """
    if kin.pod is not None:
        is_over = kin.pod.attributes.get(otel.K8S_POD_STATUS_PHASE) in ("Failed", "Succeeded")
        is_deleted = kubernetes.DELETION_GRACE_PERIOD in kin.pod.attributes
        is_ending = is_deleted or kin.pod.status in ("terminating", "succeeded")
        return is_ending or (is_over and kin.controller is not None)
    if entity.ref.kind == kinds.JOB and entity.status == "failed":
        return last_run(kin.jobs) not in (None, entity)
    return False


def last_run(jobs: Iterable[TopologyEntity]) -> TopologyEntity | None:
    """The Job that began last of those that have finished."""
    finished = [each for each in jobs if each.status in ("failed", "succeeded") and each.created_at is not None]
    return max(finished, key=lambda each: (each.created_at, each.ref), default=None)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One numbered check."""

    id: str
    """`KG-101`. A number is never given to another check, since alerts and settings name it."""
    name: str
    """A few words, for a table."""
    applies_to: frozenset[KindName] = frozenset()
    """Kinds; empty: any kind."""
    systems: frozenset[str] = frozenset()
    """Database systems (`db.system.name`); empty: any entity of those kinds."""
    text: str
    """One plain sentence about a finding, with `{entity}`, `{value}` and, where there is one, `{threshold}`."""
    why: str
    """What a finding means, and what to do about it."""
    source: str
    """Where its thresholds come from."""
    alerts: bool = True
    """Whether a finding is an alert, too."""

    def sentence(self, entity: Ref, value: str, threshold: str = "") -> str:
        """Its text about one finding; a multiple is `12× its limit`, a share `87 % of its limit`."""
        return self.text.format(entity=entity, value=value, threshold=threshold).replace("× of ", "× ")

    @property
    def shows_value(self) -> bool:
        """Whether its text says what was found; the text of a plain fact does not."""
        return "{value}" in self.text


class StateCheck(Check, frozen=True, kw_only=True):
    """A fact: it holds or it does not."""

    find: Callable[[State], str | None]
    """What was found; None when there is no finding."""
    severity: float
    """How bad that is, as in `contract.health.Reason`."""
    means_unknown: bool = False
    """Whether a finding says that something is not known, rather than that it is bad."""
    turns_s: tuple[float, ...] = ()
    """Ages of a status or its reason at which it may find something else."""


class GradedCheck(Check, frozen=True, kw_only=True):
    """A number, the worse the farther it is beyond its thresholds."""

    thresholds: Thresholds
    unit: str
    """UCUM, as in `contract.health.Reason`."""
    worse: Literal["higher", "lower"] = "higher"
    """Which way is bad."""

    def __post_init__(self) -> None:
        """Refuse thresholds out of order: one with a slip would only show itself by an alert that never came.

        Raises:
            ValueError: with the check's number.
        """
        if order := self.order_broken_by(self.thresholds):
            raise ValueError(f"{self.id}: expected {order}, found {self.thresholds}")

    def order_broken_by(self, thresholds: Thresholds) -> str:
        """The order that thresholds of this check must have, if these have another; else empty."""
        given = [self.badness(each) for each in thresholds.given]
        if all(mild < bad for mild, bad in pairwise(given)):
            return ""
        return "warn < crit < fatal" if self.worse == "higher" else "warn > crit > fatal"

    def badness(self, value: float) -> float:
        """The value, mirrored if need be, so that higher is worse."""
        return value if self.worse == "higher" else -value


class AgeCheck(GradedCheck, frozen=True, kw_only=True):
    """How long something has been so."""

    age_s: Callable[[State], float]
    """Seconds; 0 when it is not so, or only since this moment; negative before it is."""

    def waits_s(self, state: State) -> Iterator[float]:
        """In how many seconds it may find something worse by time alone."""
        age_s = self.age_s(state)
        yield from (limit - age_s for limit in self.thresholds.given if age_s and limit > age_s)


class RestartCheck(GradedCheck, frozen=True, kw_only=True):
    """How often it was restarted within an hour for a cause."""

    is_cause: Callable[[TopologyEntity], bool]
    """Whether the last restart was for this cause."""
    is_so: Callable[[State], bool]
    """Whether its source reports it now: then it is a finding at any number."""
    severity_if_so: float
    """How bad that is at the least. While a finding lasts, it only becomes worse."""


def custom(pulse: Pulse, figure: str) -> Reading:
    """A figure of the section `custom`."""
    return pulse.custom.get(figure, UNSET)


class FigureCheck(GradedCheck, frozen=True, kw_only=True):
    """A figure of pulses: two of the last three samples must be beyond a threshold."""

    figure: FigureName
    """The figure that it judges."""
    when: Callable[[TopologyEntity], bool] = lambda _: True
    """Whether an entity of these kinds is judged at all, by its settings."""
    is_fact: bool = False
    """Whether the figure is no measure, but says that something is so or not: one sample ends what it found."""
    at_once: float | None = None
    """From here on one sample is enough: no blip is that bad."""


class SampleCheck(FigureCheck, frozen=True, kw_only=True):
    """One figure out of a pulse."""

    reads: Callable[[Pulse, str], Reading] = custom
    """Where that is, and when it counts."""

    def value(self, pulse: Pulse) -> Reading:
        """The figure; None when it is not known now (NaN says the same), UNSET when this check does not apply."""
        value = self.reads(pulse, self.figure)
        return value if value == value else None  # noqa: PLR0124 - NaN alone differs from itself


class IntervalCheck(SampleCheck, frozen=True, kw_only=True):
    """A share that was estimated: what is sure of it decides, so that chance alone makes no finding and ends none."""

    low: FigureName
    """The lower end of its confidence interval."""
    high: FigureName
    """The upper end."""
    is_complement: bool = False
    """Whether the share of the others is judged: of those that are not as the figure counts them."""

    def value(self, pulse: Pulse) -> Reading:
        """What the share is at least, if that is beyond the first threshold, and at most, if that is within it.

        None while it may be either: then a finding is kept for a while, and none begins.
        """
        ends = self.reads(pulse, self.low), self.reads(pulse, self.high)
        if UNSET in ends:
            return UNSET
        low, high = (each if isinstance(each, int | float) and each == each else None for each in ends)  # noqa: PLR0124
        if low is None or high is None:
            return None
        least, most = (1.0 - high, 1.0 - low) if self.is_complement else (low, high)
        first = self.thresholds.given[0]
        if least >= first:
            return least
        return most if most < first else None


class Sample(msgspec.Struct, frozen=True, gc=False):
    """A figure of an entity, or of one of its connections, as one pulse has it."""

    value: float | None
    """None: it applies, and is not known now."""
    edge: Edge | None = None
    calls: int | None = None
    """Of how many it was measured, if that is so."""
    least_apart: float = 0.0
    """How far from what is usual it must be, beside what its check says."""
    median_of: Histogram | None = None
    """Whose median the value is: of few calls another one is as likely."""
    failed: tuple[float, float] | None = None
    """Of a rate: how many have failed, of how many. Too few of them are no rate, but may be with those before."""


ADOPTED_S: Final = 4 * 3600.0
"""Longer than nearly every incident, and a change that stays is none."""


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """How a figure is compared with its own past."""

    resolution: float
    """In the unit of the figure: what differs by less is the same."""
    way: Literal["above", "below"] = "above"
    """Which way is bad."""
    least: float = 0.0
    """A value below it is never a finding, however unusual."""
    least_apart: float = 0.0
    """Nor is one that is not as far from what is usual."""
    adopted_s: float = ADOPTED_S
    """What has been found for so long is the usual from then on, and its finding ends."""


CALLS_AT_ONCE: Final = 30
"""Of fewer calls one sample is never enough."""
SPREAD: Final = "{spread}"
"""The unit of what is compared with its past: how many times its usual spread it is from what is usual."""


def _rounded(value: float | None, unit: str) -> str:
    """With three digits, since no histogram knows more."""
    return worded(float(f"{value:.3g}"), unit) if value is not None else "unknown"


class SeriesCheck(FigureCheck, frozen=True, kw_only=True):
    """One figure of an entity, or of each of its connections, against thresholds or what is usual for it.

    Its text may have `{peer}`, `{usual}` and `{calls}`, too; `{value}` is the figure itself.
    """

    pulse: type[Pulse]
    """Pulses that have it."""
    reads: Callable[[Pulse, str], Reading] | None = None
    """The same as `samples`, of a check that has one figure, of the entity itself; None: it has others."""
    samples: Callable[[Pulse], Iterable[Sample]]
    """The figure in a pulse; nothing where it does not apply, or is of too few calls to judge."""
    measure: str
    """UCUM unit of the figure. The unit of the thresholds differs if it is compared with what is usual."""
    usual: Usual | None = None
    """None: it is judged by its value."""
    of_calls: bool = False
    """Whether a pulse without it only says that hardly anything was called."""
    uncalled: Callable[[Pulse], Sample | None] = lambda _: None
    """The figure of a connection that a pulse leaves out and that was called until lately; None: it has none."""

    def explained(self, entity: Ref, sample: Sample, usual: float | None, threshold: float) -> str:
        """Its text about one sample."""
        return self.text.format(
            entity=entity,
            peer=sample.edge.peer if sample.edge is not None else "",
            value=_rounded(sample.value, self.measure),
            usual=_rounded(usual, self.measure),
            threshold=worded(threshold, self.measure),
            calls=counted(sample.calls or 0, "call"),
        ).replace("× of ", "× ")

    @property
    def fine_below(self) -> float:
        """Below it a value is no finding, whatever is usual."""
        return self.usual.least if self.usual is not None and self.usual.way == "above" else float("-inf")

    @property
    def shows_value(self) -> bool:
        """What was found is a number of spreads, and its text does not say how many."""
        return self.usual is None


def of(systems: Collection[str], *areas: Iterable[Check]) -> tuple[Check, ...]:
    """The checks of these areas, as checks of these database systems."""
    return tuple(msgspec.structs.replace(check, systems=frozenset(systems)) for area in areas for check in area)
