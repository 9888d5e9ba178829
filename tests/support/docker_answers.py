"""What an engine answers, valid by default, one override per test."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kgents_collector_docker.answers import (
    Actor,
    Attributes,
    Container,
    EngineEvent,
    Health,
    Image,
    Info,
    Inventory,
    Network,
    Settings,
    State,
    Volume,
)
from kgents_collector_docker.mapping import observe
from kgents_collector_docker.mapping.scope import Scope
from kgents_shared.contract.entity import Entity
from support.vocabulary import only_declared
from support.with_unread import with_unread

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
STARTED = AT - timedelta(hours=1)
IMAGE_ID = f"sha256:{'ab' * 32}"
IMAGE_NAME = "ab" * 6
NEVER = datetime(1, 1, 1, tzinfo=UTC)


def make_scope(**fields: Any) -> Scope:
    return Scope(**{"cluster": "test", "engine": "", "host": "vm", "at": AT, "sampled_at": AT, **fields})


def make_state(status: str = "running", health: str = "", **fields: Any) -> State:
    given = {"started_at": STARTED, "finished_at": NEVER, "health": Health(health) if health else None}
    return State(status, **{**given, **fields})


def make_container(name: str = "web", *, labels: dict[str, str] | None = None, **fields: Any) -> Container:
    given = {
        "id": f"{name}-id".ljust(64, "0"), "name": f"/{name}", "image": IMAGE_ID, "created": STARTED,
        "state": make_state(), "config": Settings("shop/cart:1.2", labels), "restart_count": 0,
    }  # fmt: skip
    return Container(**{**given, **fields})


def make_inventory(
    *containers: Container,
    networks: list[Network] | None = None,
    volumes: list[Volume] | None = None,
    images: list[Image] | None = None,
    unread: dict[str, str] | None = None,
) -> Inventory:
    shown = [Image(IMAGE_ID, ["shop/cart:1.2"])] if images is None else images
    return Inventory(
        Info("engine-id", "vm", ncpu=4, mem_total=8 * 1024**3),
        {each.id: each for each in containers},
        {each.id: each for each in networks or []},
        {each.name: each for each in volumes or []},
        {each.id: each for each in shown},
        unread=unread or {},
    )


def make_event(
    type_: str, action: str, id_: str = "web-id", *, time_ns: int = 10**18, **attributes: str
) -> EngineEvent:
    return EngineEvent(type_, action, Actor(id_, Attributes(**attributes)), time_ns)


def mapped(
    inventory: Inventory, scope: Scope | None = None, published: list[Entity] | None = None
) -> dict[str, Entity]:
    """What is published of an inventory, by ref."""
    facts = observe(inventory, scope or make_scope(), published or [])
    found = with_unread(facts.entities, published or [], facts.unread)
    return {str(each.ref): each for each in only_declared(found)}
