"""What an operator sets for topology-builder."""

import msgspec

SOURCE_PRIORITY = ["k8s", "docker", "db", "nats", "otel"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `topology-builder:` of the configuration."""

    clusters: list[str] = []
    """Clusters to build; empty: every cluster on the stream. With a list, another builder may take the others."""
    source_priority: list[str] = msgspec.field(default_factory=lambda: list(SOURCE_PRIORITY))
    """Whose word counts when two sources disagree on one thing, first to last; others follow by name.

    Orchestrators first: they decide what runs, an engine or a client only sees its part of it.
    """
