"""From method, path and query to what a request is about, as the authorizer and the router see it."""

from collections.abc import Mapping
from dataclasses import dataclass

from support.kube_api.selectors import exact_name

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "GET": "get", "HEAD": "get", "DELETE": "delete"}


@dataclass(frozen=True)
class Target:
    """Without `resource` it is no object: discovery, health, version."""

    path: str
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def target_of(method: str, path: str, query: Mapping[str, str]) -> Target:
    """Read `/api/v1/…` and `/apis/<group>/<version>/…`; everything else has no resource."""
    parts = [part for part in path.split("/") if part]
    if len(parts) > 2 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) > 3 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return Target(path, method.lower())
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    elif rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
    resource, name, subresource = (*rest, "", "", "")[:3]
    verb = VERBS.get(method, method.lower())
    if not name and verb in ("get", "delete"):
        name = exact_name(query.get("fieldSelector", ""))
        verb = _collection_verb(verb, query)
    return Target(path, verb, group, version, resource, namespace, name, subresource)


def _collection_verb(verb: str, query: Mapping[str, str]) -> str:
    if verb == "delete":
        return "deletecollection"
    return "watch" if query.get("watch", "").lower() in ("1", "true", "t") else "list"
