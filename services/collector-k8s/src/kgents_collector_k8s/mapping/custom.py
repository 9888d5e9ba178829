"""Custom resources by rules in the configuration: a rule → a Kind, which maps objects like any other. Pure.

A path is dotted and begins with `spec.` or `status.`: `status.phase`, `spec.storage.secretName`; `[]` stands for all
items of a list: `spec.backends[].name`. Annotations and managed fields have no path, since they may hold whole objects.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from msgspec import field

from kgents_collector_k8s.mapping.entity import Attributes, Status, entity, owner_of
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_collector_k8s.mapping.reference import named
from kgents_collector_k8s.objects.custom import CustomObject
from kgents_shared.contract.api_kinds import OURS, kind_of
from kgents_shared.contract.entity import STATUSES, Connection, Ref, Value
from kgents_shared.contract.section import Fault, Section
from kgents_shared.contract.vocabulary import kinds

_PATH: Final = re.compile(r"(?:spec|status)(?:\.[A-Za-z0-9_/-]+(?:\[\])?)+")
_DIRECTIONS: Final = ("in", "out")
_WITHOUT_NAMESPACE: Final = (kinds.NODE, kinds.NAMESPACE)


class StatusRule(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an object states its status: in a condition, or in a word. Without either it is `running`."""

    condition: str = ""
    """The type of a condition in `status.conditions`: `Ready`. True is running, False is failed, anything else
    pending. With `words`, the reason of a False condition decides."""

    path: str = ""
    """The path to a word: `status.phase`. What `words` does not know is `unknown`."""

    words: dict[str, str] = {}
    """The object's word → one of running, pending, failed, terminating, succeeded, unknown."""

    reason: str = ""
    """The path to the reason. Not needed with `condition`, which has its own."""

    def faults(self) -> Iterator[Fault]:
        if self.condition and self.path:
            yield Fault("path", "condition or path", "both", "try the condition alone", beside=("condition",))
        yield from _unusable_path("path", self.path)
        yield from _unusable_path("reason", self.reason)
        for word, status in self.words.items():
            if status not in STATUSES:
                yield Fault(f"words.{word}", f"one of {', '.join(STATUSES)}", f'"{status}"', "try: unknown")


class ConnectionRule(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One edge of an object for each name at a path."""

    kind: str
    """`configures`, `volume`, `routes`, `depends`, `owns`, `runs_on`, or a kind of your own."""

    name: str
    """The path to the peer's name."""

    peer_kind: str = ""
    """Our kind of the peer: `service`, `secret`, `deployment`. Empty: the name is an address or alias, such as
    `pg.shop.svc:5432`."""

    namespace: str = ""
    """The path to the peer's namespace. Empty, or no value there: the object's own."""

    direction: str = "out"
    """`in`: the peer is the acting side, such as a Secret that configures the object."""

    def faults(self) -> Iterator[Fault]:
        if not self.kind:
            yield Fault("kind", "a kind of connection", "an empty text", "try: depends")
        if not self.name:
            yield Fault("name", "the path to the peer's name", "an empty text", "try: spec.secretName")
        if self.direction not in _DIRECTIONS:
            yield Fault("direction", "in or out", f'"{self.direction}"', "try: out, the default")
        if "[]" in self.namespace:
            yield Fault("namespace", "a path to one value", f'"{self.namespace}"', "remove the []")
        yield from _unusable_path("name", self.name)
        yield from _unusable_path("namespace", self.namespace)


class CustomRule(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How objects of one custom resource are shown."""

    group: str
    """`postgresql.cnpg.io`."""

    version: str
    """`v1`: one that the cluster serves."""

    resource: str
    """The plural in the path: `clusters`."""

    api_kind: str
    """`Cluster`."""

    kind: str = ""
    """Our kind: `postgres_cluster`. Empty: the API's kind in lower case."""

    is_namespaced: bool = True

    status: StatusRule = field(default_factory=StatusRule)

    attributes: dict[str, str] = {}
    """Attribute → path. A list of values becomes a list of texts."""

    connections: list[ConnectionRule] = []

    def faults(self) -> Iterator[Fault]:
        for name in ("group", "version", "resource", "api_kind"):
            if not getattr(self, name):
                yield Fault(name, "what `kubectl api-resources` shows", "an empty text", "try: kubectl api-resources")
        if self.kind in OURS:
            yield Fault("kind", "a name of its own", f'"{self.kind}", which is built in', "choose another name")
        for attribute, path in self.attributes.items():
            yield from _unusable_path(f"attributes.{attribute}", path)


def kind(rule: CustomRule) -> Kind[CustomObject]:
    """The kind that a rule describes. Its absence is no fault: the resource may be installed later."""
    name = rule.kind or kind_of(rule.api_kind, rule.group)
    return Kind(
        name,
        rule.api_kind,
        rule.group,
        rule.version,
        rule.resource,
        CustomObject,
        partial(_fragment, rule, name),
        is_namespaced=rule.is_namespaced,
        is_optional=True,
        is_custom=True,
    )


def _fragment(rule: CustomRule, name: str, found: CustomObject, scope: Scope) -> Fragment:
    connections = [edge for each in rule.connections for edge in _connections(each, found, scope)]
    itself = entity(
        found.metadata,
        name,
        scope,
        status=_status(rule.status, found),
        attributes=_attributes(rule, found),
        connections=connections,
    )
    references = [ref for ref in named(connections) if ref.kind in (kinds.CONFIGMAP, kinds.SECRET)]
    return Fragment(found.metadata.uid, [itself], owner_of(found.metadata), references)


def _attributes(rule: CustomRule, found: CustomObject) -> Attributes:
    attributes: Attributes = {}
    for attribute, path in rule.attributes.items():
        values = list(_values(found, path))
        if "[]" in path:
            attributes[attribute] = [str(value) for value in values]
        elif values:
            attributes[attribute] = values[0]
    return attributes


def _status(rule: StatusRule, found: CustomObject) -> Status:
    if rule.condition:
        return _by_condition(rule, found)
    if not rule.path:
        return "running", ""
    word = _text(found, rule.path)
    status = rule.words.get(word, "unknown" if word else "pending")
    reason = _text(found, rule.reason)
    return status, reason or (word if status not in ("running", "succeeded") else "")


def _by_condition(rule: StatusRule, found: CustomObject) -> Status:
    listed = (found.status or {}).get("conditions")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and each.get("type") == rule.condition:
            reason = str(each.get("reason") or "")
            if each.get("status") == "True":
                return "running", ""
            return (rule.words.get(reason, "failed") if each.get("status") == "False" else "pending"), reason
    return "pending", ""


def _connections(rule: ConnectionRule, found: CustomObject, scope: Scope) -> Iterator[Connection]:
    own = "" if rule.peer_kind in _WITHOUT_NAMESPACE else found.metadata.namespace
    namespace = _text(found, rule.namespace) or own
    for name in dict.fromkeys(str(value) for value in _values(found, rule.name) if value != ""):
        peer = Ref(scope.cluster, rule.peer_kind, name, namespace) if rule.peer_kind else name
        yield Connection(kind=rule.kind, peer=peer, direction=rule.direction, evidence=rule.name)


def _text(found: CustomObject, path: str) -> str:
    return str(next(_values(found, path), "")) if path else ""


def _values(found: CustomObject, path: str) -> Iterator[Value]:
    """The scalar values at a path; anything else there is skipped."""
    steps = path.split(".")
    nodes: list[Any] = [found.spec if steps[0] == "spec" else found.status]
    for step in steps[1:]:
        key = step.removesuffix("[]")
        nodes = [node[key] for node in nodes if isinstance(node, dict) and key in node]
        if step != key:
            nodes = [item for node in nodes if isinstance(node, list) for item in node]
    yield from (node for node in nodes if isinstance(node, str | int | float | bool))


def _unusable_path(at: str, path: str) -> Iterator[Fault]:
    if path and not _PATH.fullmatch(path):
        yield Fault(at, "a path below spec or status", f'"{path}"', "try: status.phase, or spec.backends[].name")
