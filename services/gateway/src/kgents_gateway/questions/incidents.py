"""Questions about incidents: alerts with a common cause, who was notified of them, and what is silenced."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kgents_gateway.questions.arguments import LIMIT_MAX, SHOWN, Arguments, Filters, Past, Words, checked, past
from kgents_gateway.questions.question import Question
from kgents_gateway.questions.world import IncidentsThen, World
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.archive import Coverage
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.contract.incident import STATES, Acknowledged, Incident, Root
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.wire import Time
from kgents_shared.view.selection import Selection

SEVERITIES: Final = ("critical", "warning")

State = Annotated[str, Meta(min_length=1, extra_json_schema={"enum": list(STATES)})]
Severity = Annotated[str, Meta(min_length=1, extra_json_schema={"enum": list(SEVERITIES)})]
IncidentId = Annotated[str, Meta(max_length=64, description="As in its record.", examples=["5c0ffee5a17c0de5"])]


class IncidentsArguments(Arguments, frozen=True, kw_only=True):
    """Which incidents. All filters must fit; those of entities fit the cause, or anything that is affected."""

    clusters: Annotated[Words, Meta(description="Names of clusters; `*` is any text.")] = []
    kinds: Annotated[Words, Meta(description="Kinds, such as `pod,node`.")] = []
    namespaces: Annotated[
        list[str], Meta(max_length=100, description="Names of namespaces; empty: entities without one.")
    ] = []
    names: Annotated[Words, Meta(description="Names, such as `cart-*`.")] = []
    states: Annotated[list[State], Meta(max_length=100, description="`open`, `acknowledged`, `resolved`.")] = (
        msgspec.field(default_factory=lambda: ["open", "acknowledged"])
    )
    severities: Annotated[list[Severity], Meta(max_length=100, description="`critical`, `warning`.")] = []
    at: Past = ""
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="At most so many incidents.")] = 200


class OneIncident(Arguments, frozen=True, kw_only=True):
    """Which incident."""

    incident_id: IncidentId


class IncidentArguments(OneIncident, frozen=True, kw_only=True):
    """Which incident, and when."""

    at: Past = ""


class SilencesArguments(Arguments, frozen=True, kw_only=True):
    """Of which clusters."""

    clusters: Annotated[Words, Meta(description="Names of clusters; `*` is any text.")] = []
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="At most so many silences.")] = 1_000


class IncidentSummary(msgspec.Struct, frozen=True):
    """One incident as a list shows it."""

    id: str
    cluster: str
    state: str
    severity: str
    title: str
    text: str
    root: Root
    started_at: Time
    opened_at: Time
    changed_at: Time
    calm_at: Time | None
    ended_at: Time | None
    acknowledged: Acknowledged | None
    affected_count: int
    affected_by_kind: dict[str, int]
    is_flapping: bool
    silenced_by: list[str]
    parent: str
    revision: int


class IncidentList(msgspec.Struct, frozen=True):
    """The selected incidents: open before acknowledged before resolved, critical first, then the newest."""

    incidents: list[IncidentSummary]
    count: int
    """How many there are; `incidents` holds at most `limit` of them."""
    by_state: dict[str, int]
    """State → how many of all that the other filters select."""
    is_cut: bool
    stale_since: Time | None
    """Since when the gateway cannot read the streams. Null: it can."""
    forgotten: list[str] = []
    """Subjects of incidents whose state at that time is no longer kept, as `kgents.incident.>` before their stream was
    made."""
    archived: list[Coverage] = []
    """Of a time that has been: what of it is from the archive; empty: the stream alone holds it."""
    remarks: list[str] = []
    """What else is not known of that time, as sentences; empty: nothing."""


class Receiver(msgspec.Struct, frozen=True):
    """What one receiver knows of an incident."""

    receiver: str
    state: str
    """The state of the incident that it has confirmed; empty: none."""
    at: Time | None
    """When it confirmed that."""
    first_at: Time | None
    """When it was first notified, confirmed or not."""
    is_current: bool
    """Whether it knows the incident as it is."""
    may_be_doubled: int
    """How often it is not known whether a message arrived that was then sent again."""
    failure: str
    """Why the last request failed; empty: it did not."""
    retry_at: Time | None
    is_in_digest: bool
    """It was one entry among others."""


class IncidentDetail(msgspec.Struct, frozen=True):
    """All that is known of one incident."""

    incident: Incident
    """As on the stream, without `members`."""
    receivers: list[Receiver] | None
    """Null: of a time that has been it is not kept."""
    silences: list[Silence] | None
    """Those that silence it now. Null: of a time that has been they are not kept."""
    caused: list[IncidentSummary]
    """Incidents that this one has probably caused."""
    stale_since: Time | None
    remarks: list[str] = []
    """What is not known of a time that has been, as sentences; empty: nothing."""


class SilenceList(msgspec.Struct, frozen=True):
    """Silences that act or will act, the next to end first."""

    silences: list[Silence]
    count: int
    is_cut: bool
    stale_since: Time | None


async def incidents(world: World, arguments: IncidentsArguments) -> IncidentList:
    """The selected incidents."""
    checked("states", arguments.states, STATES)
    checked("severities", arguments.severities, SEVERITIES)
    selection = Filters(
        clusters=arguments.clusters, kinds=arguments.kinds, namespaces=arguments.namespaces, names=arguments.names
    ).selection()
    then = await _then(world, arguments.at)
    found: list[Incident] = []
    by_state = dict.fromkeys(STATES, 0)
    time_slice = TimeSlice()
    for each in (then.incidents if then is not None else world.incidents).all():
        await time_slice.checkpoint()
        if not is_about(each, selection) or (arguments.severities and each.severity not in arguments.severities):
            continue
        by_state[each.state] = by_state.get(each.state, 0) + 1
        if each.state in arguments.states:
            found.append(each)
    found.sort(key=place_of)
    listed = [summary(each) for each in found[: arguments.limit]]
    is_cut = len(found) > len(listed)
    if then is None:
        return IncidentList(listed, len(found), by_state, is_cut, world.stale_since)
    return IncidentList(listed, len(found), by_state, is_cut, None, then.forgotten, then.archived, then.remarks)


async def incident(world: World, arguments: IncidentArguments) -> IncidentDetail:
    """One incident, with who was notified of it."""
    then = await _then(world, arguments.at)
    known = then.incidents if then is not None else world.incidents
    if (found := known.with_id(arguments.incident_id)) is None:
        if then is not None and any(each.endswith((">", f".{arguments.incident_id}")) for each in then.forgotten):
            raise NotFoundError("the state of this incident at that time is no longer kept; leave out `at` for now")
        raise unknown_incident(arguments.incident_id)
    caused = sorted((each for each in known.all() if each.parent == found.id), key=place_of)
    if then is not None:
        return IncidentDetail(found, None, None, [summary(each) for each in caused], None, then.remarks)
    receivers = [_receiver(each, found) for each in known.notices(found)]
    silences = [each for each in known.silences() if each.cluster == found.cluster and each.id in found.silenced_by]
    return IncidentDetail(
        found,
        sorted(receivers, key=lambda each: each.receiver),
        silences,
        [summary(each) for each in caused],
        world.stale_since,
    )


async def silences(world: World, arguments: SilencesArguments) -> SilenceList:
    """The silences that act or will act."""
    selection, now = Filters(clusters=arguments.clusters).selection(), world.now()
    found = [
        each for each in world.incidents.silences() if each.ends_at > now and selection.takes_cluster(each.cluster)
    ]
    found.sort(key=lambda each: (each.ends_at, each.cluster, each.id))
    return SilenceList(found[: arguments.limit], len(found), len(found) > arguments.limit, world.stale_since)


async def _then(world: World, at: str) -> IncidentsThen | None:
    """The incidents at a time; None: now."""
    time = past(at, "at", world.now())
    return await world.streams.incidents_at(time) if time is not None else None


def summary(each: Incident) -> IncidentSummary:
    """An incident as a list shows it."""
    return IncidentSummary(**{name: getattr(each, name) for name in IncidentSummary.__struct_fields__})


def is_about(each: Incident, selection: Selection) -> bool:
    """Whether the cause, or something that is affected, is selected by its name."""
    refs: list[Ref] = [each.root.ref, *(one.ref for one in each.affected)]
    return any(map(selection.takes_ref, refs))


def place_of(each: Incident) -> tuple[int, bool, float, str]:
    """Where an incident is in the order of all."""
    state = STATES.index(each.state) if each.state in STATES else len(STATES)
    return state, each.severity != "critical", -each.started_at.timestamp(), each.id


def unknown_incident(id_: str) -> NotFoundError:
    """No incident has this id."""
    return NotFoundError(f"expected the id of an incident, found {id_[:SHOWN]!r}; try: GET /api/v1/incidents")


def _receiver(notice: Notice, of: Incident) -> Receiver:
    return Receiver(
        notice.receiver,
        notice.delivered_state,
        notice.delivered_at,
        notice.opened_at,
        notice.delivered >= of.revision,
        notice.doubts,
        notice.failure,
        notice.retry_at,
        notice.via == "digest",
    )


QUESTIONS: Final = (
    Question(
        "incidents",
        "The incidents: alerts with a common cause",
        IncidentsArguments,
        IncidentList,
        incidents,
        is_held=True,
    ),
    Question(
        "incident",
        "One incident, and who was notified of it",
        IncidentArguments,
        IncidentDetail,
        incident,
        is_held=True,
    ),
    Question("silences", "What is silenced, and until when", SilencesArguments, SilenceList, silences, is_held=True),
)
