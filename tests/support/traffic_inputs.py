"""What an application serves and calls, as traffic pulses, and a scorer that reads them."""

from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.reducer import Scorer
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import EdgeSample, Inbound, TrafficPulse
from kgents_shared.contract.sketch import Histogram, Sketch
from support.health_inputs import Watch, at, entity
from support.restarted import restore

FRONTEND = Ref("c1", "app", "frontend", "shop")
CART = Ref("c1", "app", "cart", "shop")
POSTGRES = "pg.shop.svc:5432"
MINUTE_S = 60.0
LEARNT = 15
"""Minutes after which it is known what is usual."""


def histogram(*values: float, n: int = 1) -> Histogram:
    """So many of each of these."""
    found = Sketch()
    for value in values:
        found.add(value, n)
    return found.histogram()


def edge(
    peer: Ref | str = CART,
    *,
    n: int = 416,
    client: float = 8.0,
    server: float | None = 4.0,
    gap: float | None = None,
    failed: float = 0.0,
    answered_badly: float = 0.0,
) -> EdgeSample:
    """Calls of one minute; durations in ms. `server` None: the peer sends no spans."""
    on_the_way = client - (server or 0.0) if gap is None else gap
    is_paired = server is not None and n > 0
    return EdgeSample(
        peer=peer,
        kind="http" if isinstance(peer, Ref) else "depends",
        n=n,
        spans=n,
        errors_client=failed,
        errors_server=answered_badly,
        paired_share=1.0 if is_paired else None,
        client_ms=histogram(client, n=n) if n else None,
        server_ms=histogram(server or 0.0, n=n) if is_paired else None,
        gap_ms=histogram(on_the_way, n=n) if is_paired else None,
    )


def served(n: int = 600, *, latency: float = 20.0, errors: float = 0.0) -> Inbound:
    return Inbound(n=n, spans=n, errors=errors, latency_ms=histogram(latency, n=n) if n else None)


def traffic(
    at_s: float, *edges: EdgeSample, inbound: Inbound | None = None, ref: Ref = FRONTEND, interval_s: float = MINUTE_S
) -> TrafficPulse:
    return TrafficPulse(
        ref=ref, source="otel", timestamp=at(at_s), interval_s=interval_s, inbound=inbound, edges=list(edges)
    )


class Shop(Watch):
    """Applications and their traffic, minute after minute."""

    def __init__(self, *apps: Ref) -> None:
        super().__init__()
        self.now_s = 0.0
        self.apps = apps or (FRONTEND, CART)
        for each in self.apps:
            self.entity(entity(each, sources=["otel"]))

    def minute(self, *edges: EdgeSample, inbound: Inbound | None = None, ref: Ref = FRONTEND) -> list[str]:
        """What is found of an application after a minute of its traffic."""
        self.now_s += MINUTE_S
        self.send(traffic(self.now_s, *edges, inbound=inbound, ref=ref))
        return self.checks(ref)

    def send(self, pulse: TrafficPulse) -> None:
        self.scorer.on_pulse(pulse, now=pulse.timestamp, evidence="KGENTS_PULSE:1")
        self.published.write(self.scorer.take())

    def learns(self, *edges: EdgeSample, inbound: Inbound | None = None, ref: Ref = FRONTEND) -> "Shop":
        """It has been so for long enough to be usual."""
        for _ in range(LEARNT):
            self.minute(*edges, inbound=inbound, ref=ref)
        return self

    def minutes(self, times: int, *edges: EdgeSample, inbound: Inbound | None = None) -> list[str]:
        """What is found after each, the checks of one minute joined."""
        return [",".join(self.minute(*edges, inbound=inbound)) for _ in range(times)]

    def text(self, ref: Ref = FRONTEND) -> str:
        return self.health(ref).reasons[0].text

    def restart(self) -> "Shop":
        """A new process that has read what was published."""
        again = self.restart_before_verdicts()
        again.scorer.caught_up(at(self.now_s))
        return again

    def restart_before_verdicts(self) -> "Shop":
        """The same, before it has read the last pulses."""
        again = Shop(*self.apps)
        again.published, again.now_s = self.published, self.now_s
        again.scorer = Scorer(CATALOGUE)
        restore(again.scorer, self)
        for each in self.apps:
            again.scorer.on_topology(entity(each, sources=["otel"]), each, now=at(0), evidence="KGENTS_TOPOLOGY:0")
        return again
