"""Samples of a PostgreSQL server, and what is made of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kgents_collector_db.mapping import postgres
from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.mapping.postgres.sample import (
    Database,
    Identity,
    PostgresSample,
)
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import DatabasePulse
from support.vocabulary import declared

START = datetime(2026, 1, 1, tzinfo=UTC)
TARGET = PostgresTarget(host="db", user="kgents")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def identity(seconds: float = 0, **fields: Any) -> Identity:
    given = {
        "now": at(seconds), "version_num": 150018, "version": "15.18 (Debian)", "in_recovery": False, "started": START,
        "backend_pid": 1, "max_connections": 100, "superuser_reserved": 3, "reserved": 0, "sees_all": True,
        "own_sessions": 1, "server_addr": "10.0.0.7", "server_port": 5432, "freeze_max_age": 200_000_000,
        "multixact_freeze_max_age": 400_000_000, "receiver_timeout_s": 60.0, "archive_mode": "off",
        **fields,
    }  # fmt: skip
    return Identity(**given)


def database(name: str = "shop", **fields: Any) -> Database:
    counters = {
        field: 0 for field in Database.__struct_fields__ if field not in ("datname", "is_guestless", "stats_reset")
    }
    names = {"oid": sum(name.encode()), "datname": name, "is_guestless": False, "stats_reset": None}
    return Database(**{**counters, **names, **fields})


def sample(seconds: float = 0, who: Identity | None = None, **fields: Any) -> PostgresSample:
    return PostgresSample(
        at=at(seconds), address="db:5432", connections=1, system_id="7", identity=who or identity(seconds), **fields
    )


def observed(previous: PostgresSample | None, current: PostgresSample, published: Facts | None = None) -> Facts:
    entities = {entity.ref: entity for entity in (published.entities if published else [])}
    return declared(postgres.observe(previous, current, Scope("c1", "orders", "shop", 10.0, current.at, entities)))


def pulse(facts: Facts) -> DatabasePulse:
    (found,) = facts.pulses
    assert isinstance(found, DatabasePulse)
    return found
