"""A day → the messages that collectors would have published: the entities once, and the pulses of each minute.

The layout holds medians, not distributions, and no number of calls: every call of a minute is given its median,
the time on the way is the difference of both medians, and the calls that a service served are divided among its callers
by the requests that these served. So calls for each request, errors, and what differs from call to call cannot be
judged here.
"""

from collections.abc import Iterator, Mapping

from accuracy.day import Call, Day, Minute, Use
from accuracy.replay import Moment, Replay, service_of
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import EdgeSample, Inbound, Pulse, ResourcePulse, TrafficPulse, unread_of
from kgents_shared.contract.sketch import Histogram, Sketch
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.figures import resource

CLUSTER = "replayed"
INTERVAL_S = 60.0


def replay(day: Day) -> Replay:
    """The same as messages."""
    return Replay([*entities(day)], [Moment(each.at, [*pulses(each)]) for each in day.minutes], day.faults)


def pod(name: str) -> Ref:
    return Ref(CLUSTER, kinds.POD, name, "shop")


def app(service: str) -> Ref:
    return Ref(CLUSTER, kinds.APP, service, "shop")


def entities(day: Day) -> Iterator[TopologyEntity]:
    """What there is on that day, which does not change."""
    for name in day.pods:
        yield TopologyEntity(text="", ref=pod(name), status="running", sources=["k8s"], at=day.minutes[0].at)
    pairs = sorted({(call.caller, call.callee) for minute in day.minutes for call in minute.calls})
    for name in day.pods:
        calls = [ResolvedConnection(edges.GRPC, app(callee)) for caller, callee in pairs if caller == service_of(name)]
        connections = [ResolvedConnection(edges.OWNS, pod(name)), *calls]
        yield TopologyEntity(
            text="",
            ref=app(service_of(name)),
            status="running",
            sources=["otel"],
            connections=connections,
            at=day.minutes[0].at,
        )


def pulses(minute: Minute) -> Iterator[Pulse]:
    """The samples of one minute."""
    for use in minute.uses:
        yield _resource_pulse(minute, use)
    if minute.calls:
        served = {service_of(use.pod): round((use.requests_per_s or 0.0) * INTERVAL_S) for use in minute.uses}
        for service in served:
            yield _traffic_pulse(minute, service, served)


def _resource_pulse(minute: Minute, use: Use) -> ResourcePulse:
    return ResourcePulse(
        ref=pod(use.pod),
        source="k8s",
        timestamp=minute.at,
        interval_s=INTERVAL_S,
        cpu_percent=use.cpu_percent,
        memory_bytes=round(use.memory_bytes) if use.memory_bytes is not None else None,
        memory_limit_bytes=round(use.memory_limit_bytes) if use.memory_limit_bytes is not None else None,
        custom={resource.CPU_LIMIT_PERCENT: use.cpu_limit_percent},
        unread=unread_of(cpu_percent=use.cpu_percent, memory_bytes=use.memory_bytes),
    )


def _traffic_pulse(minute: Minute, service: str, served: Mapping[str, int]) -> TrafficPulse:
    answered = Sketch()
    for call in minute.calls:
        if call.callee == service and call.server_s is not None:
            answered.merge(_all_at(call.server_s, _calls(call, minute, served)))
    if minute.front_s is not None and not answered.n and served[service]:
        answered.merge(_all_at(minute.front_s, served[service]))  # the front is called by users alone
    return TrafficPulse(
        ref=app(service),
        source="otel",
        timestamp=minute.at,
        interval_s=INTERVAL_S,
        inbound=Inbound(n=served[service], spans=served[service], latency_ms=answered.histogram()),
        edges=[_edge(call, minute, served) for call in minute.calls if call.caller == service and call.client_s],
    )


def _edge(call: Call, minute: Minute, served: Mapping[str, int]) -> EdgeSample:
    n, client_s, server_s = _calls(call, minute, served), call.client_s or 0.0, call.server_s
    return EdgeSample(
        peer=app(call.callee),
        kind=edges.GRPC,
        n=n,
        spans=n,
        paired_share=1.0 if server_s is not None else None,
        client_ms=_all_at(client_s, n),
        server_ms=_all_at(server_s, n) if server_s is not None else None,
        gap_ms=_all_at(max(client_s - server_s, 0.0), n) if server_s is not None else None,
    )


def _calls(call: Call, minute: Minute, served: Mapping[str, int]) -> int:
    """How many calls there were: the callee's share of those that its callers served."""
    callers = {each.caller: served.get(each.caller, 0) for each in minute.calls if each.callee == call.callee}
    total = sum(callers.values())
    return round(served.get(call.callee, 0) * callers[call.caller] / total) if total else 0


def _all_at(seconds: float, n: int) -> Histogram:
    found = Sketch()
    if n:
        found.add(seconds * 1000, n)
    return found.histogram()
