"""What a site is called by: its clusters, its services, their sources, and the secret that must not be published."""

from typing import Final, NamedTuple

CLUSTER: Final = "test"
OTHER: Final = "other"
"""The second cluster of a wide site: what collector-nats observes there is the same."""
HOST: Final = "host-h1"
COLLECTORS: Final = ("collector-k8s", "collector-nats", "collector-db")
SERVICES: Final = (*COLLECTORS, "topology-builder", "health-scorer")
SOURCES: Final = {"collector-k8s": "k8s", "collector-nats": "nats", "collector-db": "db"}
READERS: Final = {"entity": "topology-builder", "topology": "health-scorer", "pulse": "health-scorer"}
"""Signal → the service that reads it, and must report what it cannot read."""
CANARY: Final = "kanarienvogel-7f3a"
"""Planted in every secret of the observed systems: no published byte may contain it."""

Key = tuple[str, str, str]
"""Kind, namespace and name."""


class Member(NamedTuple):
    """One process of a site."""

    service: str
    instance: str = "one"
    cluster: str = CLUSTER
    """Its own."""


class Layout(NamedTuple):
    """Which processes a site has, and what works in each of its clusters."""

    members: tuple[Member, ...]
    working: dict[str, tuple[str, ...]]
    """Cluster → the names under which one instance each works there."""


PLAIN: Final = Layout(tuple(map(Member, SERVICES)), {CLUSTER: SERVICES})
WIDE: Final = Layout(
    (
        *PLAIN.members,
        Member("collector-nats", "two", OTHER),
        Member("topology-builder", "two", OTHER),
        Member("health-scorer", "two", OTHER),
        Member("alert-notifier"),
        Member("collector-otel"),
        Member("collector-host"),
        Member("gateway"),
    ),
    {
        CLUSTER: (*SERVICES, "alert-notifier", "collector-otel", f"collector-{HOST}", "gateway"),
        OTHER: ("collector-nats", "topology-builder", "health-scorer", "alert-notifier"),
    },
)
"""Two clusters that two builders and two scorers share, and every service that there is but collector-docker."""
