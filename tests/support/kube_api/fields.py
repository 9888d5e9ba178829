"""Which manager owns which fields: server-side apply, and what other writes take from it.

Known from the documentation of server-side apply and `structured-merge-diff`; observed on an API server 1.36: an apply
that changes nothing makes no new version; another manager's write takes the fields whose values it changes; an object
without managedFields counts as owned by `before-first-apply`. Lists are atomic but for those in `KEYS`, whose keys are
the `listMapKey` markers of k8s.io/api, and maps but for those in `ATOMIC`. Times of entries change only with their
fields.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from support.kube_api.resources import Resource
from support.kube_api.status import ApiError, Json, details_of

Path = tuple[str, ...]

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "containers": ("name",), "initContainers": ("name",), "volumes": ("name",), "env": ("name",),
    "volumeMounts": ("mountPath",), "conditions": ("type",), "ownerReferences": ("uid",), "imagePullSecrets": ("name",),
}  # fmt: skip
ATOMIC: Final = {
    "selector", "podSelector", "namespaceSelector", "labelSelector", "secretKeyRef", "nodeSelector",
}  # fmt: skip
SERVER_SIDE: Final = {"apiVersion", "kind", "status"}
OF_SERVER: Final = {
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields",
    "deletionTimestamp", "deletionGracePeriodSeconds", "generateName",
}  # fmt: skip
BEFORE: Final = "before-first-apply"
_ITEM: Final = "."


def fields_of(content: Json, part: str) -> dict[Path, Any]:
    """Every field that an object states, with its value: of its main part, or of its status."""
    if part == "status":
        return dict(_leaves(content.get("status") or {}, ("f:status",)))
    found: dict[Path, Any] = {}
    for name, value in content.items():
        if name == "metadata":
            kept = {key: each for key, each in value.items() if key not in OF_SERVER}
            found |= dict(_leaves(kept, ("f:metadata",)))
        elif name not in SERVER_SIDE:
            found |= dict(_leaves_of(name, value, ()))
    return found


def _leaves(value: Json, path: Path) -> Iterator[tuple[Path, Any]]:
    for name, each in value.items():
        yield from _leaves_of(name, each, path)


def _leaves_of(name: str, value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    here = (*path, f"f:{name}")
    if isinstance(value, dict) and value and name not in ATOMIC:
        yield from _leaves(value, here)
    elif isinstance(value, list) and (keys := keys_of(name, value)):
        for each in value:
            item = (*here, key_of(each, keys))
            yield (*item, _ITEM), None
            yield from _leaves(each, item)
    else:
        yield here, value


def keys_of(name: str, value: list[Any]) -> tuple[str, ...]:
    """The keys of the items of a list; none: it is atomic."""
    if name == "ports" and value and isinstance(value[0], dict):
        if "containerPort" in value[0]:
            return ("containerPort", "protocol")
        return ("port", "protocol") if "targetPort" in value[0] else ()
    return KEYS.get(name, ()) if all(isinstance(each, dict) for each in value) else ()


def key_of(item: Json, keys: tuple[str, ...]) -> str:
    """What an item of a list is called in a path; a protocol is TCP where none is given."""
    found = {key: item.get(key, "TCP" if key == "protocol" else None) for key in keys}
    return f"k:{json.dumps(found, separators=(',', ':'), sort_keys=True)}"


def merged(live: Any, stated: Any, name: str = "") -> Any:
    """What is stated, laid over what there is."""
    if isinstance(live, dict) and isinstance(stated, dict) and name not in ATOMIC:
        return live | {key: merged(live.get(key), value, key) for key, value in stated.items()}
    if isinstance(live, list) and isinstance(stated, list) and (keys := keys_of(name, stated) or keys_of(name, live)):
        items = {key_of(each, keys): each for each in live}
        for each in stated:
            key = key_of(each, keys)
            items[key] = merged(items.get(key), each)
        return list(items.values())
    return stated


def without(content: Json, gone: set[Path]) -> Json:
    """An object without some of its fields; what is empty then stays empty, as an object or a list."""
    return {
        name: value for name, each in content.items() if (value := _left(name, each, (), gone)) is not _GONE
    }  # fmt: skip


_GONE: Final = object()


def _left(name: str, value: Any, path: Path, gone: set[Path]) -> Any:
    here = (*path, f"f:{name}")
    if here in gone:
        return _GONE
    if isinstance(value, dict) and name not in ATOMIC:
        kept = {key: inner for key, each in value.items() if (inner := _left(key, each, here, gone)) is not _GONE}
        return _GONE if value and not kept else kept
    if isinstance(value, list) and (keys := keys_of(name, value)):
        items = []
        for each in value:
            item = (*here, key_of(each, keys))
            if (*item, _ITEM) not in gone:
                items.append({k: v for k, e in each.items() if (v := _left(k, e, item, gone)) is not _GONE})
        return _GONE if value and not items else items
    return value


def written(paths: set[Path]) -> Json:
    """Paths as `fieldsV1`."""
    found: Json = {}
    for path in sorted(paths):
        inner = found
        for each in path:
            inner = inner.setdefault(each, {})
    return found


def read(fields: Json, path: Path = ()) -> set[Path]:
    """`fieldsV1` as paths."""
    found: set[Path] = set()
    for name, inner in fields.items():
        found |= read(inner, (*path, name)) if inner else {(*path, name)}
    return found


class Owners:
    """The managedFields of an object."""

    def __init__(self, content: Json) -> None:
        self.sets: dict[tuple[str, str, str], set[Path]] = {}
        self._times: dict[tuple[str, str, str], tuple[set[Path], str]] = {}
        for each in content["metadata"].get("managedFields") or ():
            key = each["manager"], each["operation"], each.get("subresource", "")
            self.sets[key] = read(each["fieldsV1"])
            self._times[key] = set(self.sets[key]), each["time"]

    def entries(self, api_version: str, now: str) -> list[Json]:
        """As they are stored."""
        found = []
        for key, paths in sorted(self.sets.items()):
            if not paths:
                continue
            manager, operation, subresource = key
            old, time = self._times.get(key, (set(), now))
            entry = {
                "manager": manager, "operation": operation, "apiVersion": api_version,
                "time": time if old == paths else now, "fieldsType": "FieldsV1", "fieldsV1": written(paths),
            }  # fmt: skip
            found.append(entry | ({"subresource": subresource} if subresource else {}))
        return found

    def take(self, manager: str, operation: str, subresource: str, changed: Mapping[Path, Any]) -> None:
        """A write that was no apply: what it changes is its own, and no one else's."""
        for paths in self.sets.values():
            paths.difference_update(changed)
        own = self.sets.setdefault((manager, operation, subresource), set())
        own.update(path for path, value in changed.items() if value is not _GONE)


def changed(old: Mapping[Path, Any], new: Mapping[Path, Any]) -> dict[Path, Any]:
    """The fields whose values differ; a removed one counts too."""
    found: dict[Path, Any] = {path: value for path, value in new.items() if path not in old or old[path] != value}
    return found | dict.fromkeys(set(old) - set(new), _GONE)


def applied(
    resource: Resource,
    old: Json | None,
    stated: Json,
    manager: str,
    part: str,
    *,
    is_forced: bool,
    now: str,
) -> Json:
    """An object after server-side apply.

    Raises:
        ApiError: 409, where another manager owns a field with another value, and force is not asked for.
    """
    own = fields_of(stated, part)
    subresource = "status" if part == "status" else ""
    live = old or {"metadata": {}}
    owners = Owners(live)
    there = fields_of(live, part)
    if old is not None and not owners.sets:
        owners.sets[BEFORE, "Update", ""] = set(fields_of(live, "main"))
    me = (manager, "Apply", subresource)
    contested = {
        path: key[0]
        for key, paths in owners.sets.items()
        if key != me
        for path in paths & set(own)
        if path in there and there[path] != own[path]
    }
    if contested and not is_forced:
        raise _conflict(resource.group, resource.plural, stated["metadata"]["name"], contested)
    for key, paths in owners.sets.items():
        if key != me:
            paths.difference_update(contested)
    before = owners.sets.get(me, set())
    others = set().union(*(paths for key, paths in owners.sets.items() if key != me))
    owners.sets[me] = set(own)
    new = without(live, before - set(own) - others)
    names = ("status",) if part == "status" else [each for each in stated if each not in SERVER_SIDE]
    for name in names:
        if name in stated:
            new[name] = merged(new.get(name), stated[name], name)
    new["metadata"] = new.get("metadata", {}) | {"managedFields": owners.entries(resource.api_version, now)}
    return new


def tracked(resource: Resource, old: Json, new: Json, manager: str, part: str, *, now: str) -> Json:
    """An object after a write that was no apply: what it changes is its own. Ownership begins with the first apply."""
    if not old["metadata"].get("managedFields"):
        return new
    owners = Owners(old)
    owners.take(
        manager, "Update", "status" if part == "status" else "", changed(fields_of(old, part), fields_of(new, part))
    )
    return new | {"metadata": new.get("metadata", {}) | {"managedFields": owners.entries(resource.api_version, now)}}


def _conflict(group: str, plural: str, name: str, contested: Mapping[Path, str]) -> ApiError:
    said = [f'conflict with "{who}": {_dotted(path)}' for path, who in sorted(contested.items())]
    many = f"Apply failed with {len(said)} conflict{'' if len(said) == 1 else 's'}: {', '.join(said)}"
    causes = [{"reason": "FieldManagerConflict", "message": f'conflict with "{who}"', "field": _dotted(path)}
              for path, who in sorted(contested.items())]  # fmt: skip
    return ApiError(409, "Conflict", many, details=details_of(group, plural, name) | {"causes": causes})


def _dotted(path: Path) -> str:
    return "".join(f".{each[2:]}" if each.startswith("f:") else f"[{each[2:]}]" for each in path if each != _ITEM)
