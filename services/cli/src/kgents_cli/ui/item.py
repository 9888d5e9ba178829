"""One entity as a row shows it: EntityView → Item, small enough to keep a hundred thousand. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from kgents_cli.sentence import clean
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.view.entity import EntityView, key_of_ref
from kgents_shared.view.fold import EntityChange

RANK: Final = {"critical": 0, "warning": 1, "unknown": 2, "healthy": 3}
"""The worst first. What is not known comes before what is well."""


class Item(msgspec.Struct, frozen=True, gc=False):
    """What a row needs of an entity. Its texts are printable."""

    key: str
    ref: Ref
    level: str
    score: float | None
    status: str
    why: str
    created_at: datetime | None
    parent: str
    """The key of its first owner; empty: none."""
    is_stale: bool
    otherwise: str = ""
    """Why, if its health gives no reason."""
    alerts: tuple[Alert, ...] = ()
    """Those that are pending or firing."""
    is_remembered: bool = True
    """Whether its state at a past time is known; always so for now."""

    @property
    def order(self) -> tuple[int, float, str]:
        """Worst first; equal ones by their key, so that they never change places by themselves."""
        return RANK.get(self.level, RANK["unknown"]), self.score if self.score is not None else 1.0, self.key

    @property
    def entity(self) -> str:
        """Its own key: rows of other screens have those of entities beside their own."""
        return self.key

    @property
    def searched(self) -> str:
        """What a filter without a field compares."""
        ref = self.ref
        return f"{ref.cluster} {ref.kind} {ref.namespace} {ref.name} {self.level} {self.status} {self.why}".lower()

    def field(self, name: str) -> str | None:
        """What a filter `name:value` compares; None: there is no such field."""
        read = _FIELDS.get(name)
        return read(self) if read is not None else None


_FIELDS: Final[dict[str, Callable[[Item], str]]] = {
    "kind": lambda item: item.ref.kind,
    "ns": lambda item: item.ref.namespace,
    "namespace": lambda item: item.ref.namespace,
    "name": lambda item: item.ref.name,
    "cluster": lambda item: item.ref.cluster,
    "level": lambda item: item.level,
    "status": lambda item: item.status,
}


def item_of(view: EntityView) -> Item:
    """The row of an entity."""
    topology = view.topology
    ref, owner = view.ref, view.owner
    otherwise = clean(_without_subject(view.otherwise, ref))
    printable = ref if f"{ref.cluster}{ref.kind}{ref.namespace}{ref.name}".isprintable() else _printable(ref)
    return Item(
        view.key,
        printable,
        view.level,
        view.score,
        clean(view.condition),
        _why(view) or otherwise,
        topology.created_at if topology is not None else None,
        key_of_ref(owner) if owner is not None else "",
        bool(view.stale),
        otherwise,
        tuple(each for each in view.alerts if each.state != "resolved"),
    )


def item_after(change: EntityChange, old: Item | None) -> Item | None:
    """The row of an entity as a message changes it; None: it is gone. `old`: its row before, if there is one."""
    view = change.after
    if view is None or old is None or change.before is None or change.signal != "health":
        return item_of(view) if view is not None else None
    # Most changes are of health, and the rest of an entity is larger: it is not decoded for them.
    return msgspec.structs.replace(old, level=view.level, score=view.score, why=_why(view) or old.otherwise)


def forgotten(key: str, ref: Ref) -> Item:
    """An entity that was there at a past time, in a state that is not known any more."""
    return Item(key, _printable(ref), "unknown", None, "", "not remembered", None, "", False, is_remembered=False)


def _why(view: EntityView) -> str:
    """The first reason of its health; empty: there is none."""
    return clean(_without_subject(view.reasons[0].text, view.ref)) if view.reasons else ""


def _without_subject(text: str, ref: Ref) -> str:
    """A reason without the entity it begins with, which the row has already named."""
    return text.removeprefix(f"{ref} ")


def _printable(ref: Ref) -> Ref:
    return Ref(clean(ref.cluster), clean(ref.kind), clean(ref.name), clean(ref.namespace))
