"""The streams, the archive and the configuration → the report of one window."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from kgents_alert_notifier.config import Config
from kgents_cli.availability.machines import Placement, own_faults
from kgents_cli.availability.objectives import Objectives, budgets
from kgents_cli.availability.planned import Plan
from kgents_cli.availability.report import Report, changes, groups, noisiest
from kgents_cli.availability.requests import Requests, requests
from kgents_cli.availability.silenced import silenced
from kgents_cli.availability.spans import Level, Span, State, Window, microseconds, moment_of, overlaid, spans, times
from kgents_cli.availability.unattended import Unattended, attended
from kgents_cli.availability.unobserved import SourceHistory, Unobserved
from kgents_cli.installed import service_names
from kgents_cli.options import Target
from kgents_cli.versions import Versions, decoded, versions
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import ALERT, HEALTH, INCIDENT, TOPOLOGY
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import BusTimeoutError, MalformedMessageError
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.subjects import ROOT
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.runtime import config as configuration
from kgents_shared.view.entity import EntityView, Rows, key_of
from kgents_shared.view.fold import is_gone
from kgents_shared.view.live import snapshot
from kgents_shared.view.selection import Selection
from kgents_shared.view.signal_at import read_at

_EVER: Final = -(2**62)
_WHOLE: Final = frozenset({kinds.CLUSTER, kinds.SOURCE})
"""Kinds that sum up others, or stand for who observes."""
_WORKLOADS: Final = frozenset(
    {kinds.DEPLOYMENT, kinds.STATEFULSET, kinds.DAEMONSET, kinds.CRONJOB, kinds.CONTAINER, kinds.APP}
)
"""Kinds whose changes are counted. Containers of pods are their workload's."""
PLACEMENTS_MAX: Final = 100
"""Maintenances of machines of which the topology is read, the latest: a second each in a cluster of 10,000 pods."""


class Asked(msgspec.Struct, frozen=True):
    """What a report is to be of."""

    selection: Selection
    since: datetime
    until: datetime
    by: str
    objectives: Objectives

    @property
    def window(self) -> Window:
        """The time."""
        return Window(microseconds(self.since), microseconds(self.until))


async def collected(bus: Bus, target: Target, asked: Asked) -> Report:
    """The report.

    Raises:
        BusError: the server refused, or did not answer.
        ConfigError: a section of the configuration cannot be used.
    """
    live = await snapshot(bus, asked.selection, signals=("topology",))
    views = {each.ref: each for each in live.entities()}
    health = await versions(bus, "health", asked.selection.filters("health"), asked.since)
    unobserved, remarks = await _unobserved(bus, asked)
    unattended = await attended(bus, asked.selection, asked.window)
    plan, unplanned = await _plan(bus, target, asked)
    remarks += [*unplanned, *await _placed(bus, plan, asked)]
    entities = {
        ref: _spans(health, subject, ref, views.get(ref), asked.window, unobserved, unattended, plan)
        for subject in health.by_subject
        if (ref := _ref(subject, health)).kind not in _WHOLE and _is_taken(asked.selection, ref, views)
    }
    existing = {ref: found for ref, found in entities.items() if any(each.state != "absent" for each in found)}
    alerts = await versions(bus, "alert", asked.selection.filters("alert"), asked.since)
    topology = await versions(bus, "topology", _workload_filters(asked.selection), asked.since)
    kept, began = await _incidents(bus, asked)
    called = Requests([], [], [])
    if any(each.edge for each in asked.objectives.objectives):
        objectives = asked.objectives.objectives
        called = await requests(bus, asked.selection.clusters, asked.since, asked.until, objectives)
    return Report(
        asked.window,
        asked.by,
        groups(existing, [each for each in began if asked.selection.takes_ref(each.root.ref)], asked.by),
        budgets(
            asked.objectives.objectives,
            {ref: times(found) for ref, found in existing.items()},
            called.samples,
            called.kept,
        ),
        changes(
            {key: decoded(found, TOPOLOGY) for key, found in topology.by_subject.items()},
            asked.window,
            {key for key in topology.by_subject if not topology.is_whole(key)},
        ),
        noisiest(
            {key: decoded(found, ALERT) for key, found in alerts.by_subject.items()},
            asked.window,
            {key for key in alerts.by_subject if not alerts.is_whole(key)},
        ),
        _once(
            health.remarks,
            remarks,
            unattended.remarks(ref.cluster for ref in existing),
            alerts.remarks,
            topology.remarks,
            kept.remarks,
            called.remarks,
        ),
    )


def _spans(
    health: Versions,
    subject: str,
    ref: Ref,
    view: EntityView | None,
    window: Window,
    unobserved: Unobserved,
    unattended: Unattended,
    plan: Plan,
) -> list[Span]:
    known = decoded(health.by_subject[subject], HEALTH)
    levels = [
        Level(at, each.level if each is not None else None, _since(each.since) if each is not None else None)
        for at, each in known
    ]
    found = spans(levels, window, known_from=health.reach(subject))
    judged: tuple[State, ...] = ("healthy", "warning", "critical")
    found = overlaid(found, health.lost(subject), "unknown", over=(*judged, "absent"))
    if (gone := health.gone.get(subject)) is not None:
        found = overlaid(found, [Window(gone, window.end)], "absent", over=(*judged, "unknown"))
    # As readers have it (`view.attested`): what was critical stays so until it is observed again.
    found = overlaid(found, unobserved.of(ref, view.sources if view else None), "unknown", over=("healthy", "warning"))
    # While nothing was judged the last verdict stands, whatever it was.
    found = overlaid(found, unattended.of(ref.cluster), "unknown", over=judged)
    planned = plan.of(ref, view.labels if view else {}, own_faults(known))
    return overlaid(found, planned, "planned", over=("healthy", "warning", "critical", "unknown"))


def _since(time: datetime | None) -> int | None:
    return microseconds(time) if time is not None else None


def _ref(subject: str, found: Versions) -> Ref:
    """The entity of a subject of health; one with a long name has it whole in its messages alone."""
    body = next((each.body for each in reversed(found.by_subject[subject]) if each.body is not None), None)
    return EntityView(key_of(subject)[1], Rows(health=body)).ref


def _is_taken(selection: Selection, ref: Ref, views: Mapping[Ref, EntityView]) -> bool:
    """Of what is gone only the name is known: neither its labels nor who reported it."""
    return ref in views or (selection.takes_ref(ref) and not (selection.labels or selection.sources))


async def _unobserved(bus: Bus, asked: Asked) -> tuple[Unobserved, list[str]]:
    sources = Selection(clusters=asked.selection.clusters, kinds=(kinds.SOURCE,))
    found = await versions(bus, "topology", sources.filters("topology"), asked.since)
    histories = []
    for subject, kept in found.by_subject.items():
        source = EntityView(key_of(subject)[1], Rows()).ref
        known_from = found.trimmed.get(subject, _EVER)
        histories.append(SourceHistory(source, decoded(kept, TOPOLOGY), known_from))
    return Unobserved(histories), found.remarks


async def _incidents(bus: Bus, asked: Asked) -> tuple[Versions, list[Incident]]:
    """The incidents that began in the window, as they are last known: resolved ones are removed after some days."""
    filters = [f"{ROOT}.incident.{cluster}.*" for cluster in asked.selection.cluster_tokens]
    found = await versions(bus, "incident", filters, asked.since)
    last = (
        next((each for _, each in reversed(decoded(kept, INCIDENT)) if each is not None), None)
        for kept in found.by_subject.values()
    )
    return found, [each for each in last if each is not None and asked.since <= each.started_at < asked.until]


async def _plan(bus: Bus, target: Target, asked: Asked) -> tuple[Plan, list[str]]:
    """What was planned, and what of it is not known."""
    try:
        known, remarks = await silenced(bus, target.cluster), list[str]()
    except BusTimeoutError as error:  # as of a login that may not read this
        known, remarks = [], [f"silences are not known, so what they planned may count as down: {error}"]
    own = Config()
    if "alert-notifier" in target.addressed():
        _, own = configuration.load(
            "alert-notifier", Config, path=target.config_file, environ=target.environ(), services=service_names()
        )
    plan = Plan(
        asked.window,
        stated=asked.objectives.planned,
        silences=known,
        maintenance=own.maintenance,
        windows=own.windows,
    )
    return plan, remarks


async def _placed(bus: Bus, plan: Plan, asked: Asked) -> list[str]:
    """What ran on machines when each maintenance of theirs began, from the topology of that time."""
    remarks: list[str] = []
    for window in [each for each in plan.of_machines if each.common(asked.window) is not None][-PLACEMENTS_MAX:]:
        payloads: dict[str, bytes] = {}
        filters = [f"{ROOT}.topology.{cluster}.>" for cluster in asked.selection.cluster_tokens]
        time = min(moment_of(window.start), asked.until)
        unknown = f"topology: what ran on machines at {time:%Y-%m-%d %H:%M:%SZ} is not known"
        try:
            known = await read_at(bus, "topology", filters, time, payloads.__setitem__, takes=lambda _: True)
        except BusTimeoutError as error:  # as of a login that may not read the past
            remarks.append(f"{unknown}, so its maintenance may count as down: {error}")
            continue
        by_cluster: dict[str, list[TopologyEntity]] = {}
        for subject, payload in payloads.items():
            if payload and not is_gone(payload) and (entity := _entity(payload, subject)) is not None:
                by_cluster.setdefault(entity.ref.cluster, []).append(entity)
        for cluster, entities in by_cluster.items():
            plan.place(Placement(cluster, window, entities))
        if known.begins is not None or known.forgotten or known.remarks:
            remarks.append(f"{unknown} in full")
    return remarks


def _entity(payload: bytes, subject: str) -> TopologyEntity | None:
    try:
        return TOPOLOGY.decode(payload, subject=subject)
    except MalformedMessageError:
        return None


def _once(*remarks: list[str]) -> list[str]:
    return list(dict.fromkeys(each for found in remarks for each in found))


def _workload_filters(selection: Selection) -> list[str]:
    kept = tuple(each for each in sorted(_WORKLOADS) if not selection.kinds or each in selection.kinds)
    return msgspec.structs.replace(selection, kinds=kept or (kinds.SOURCE,)).filters("topology")
