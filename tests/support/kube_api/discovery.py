"""Discovery documents: which groups, versions and resources are served."""

from support.kube_api.resources import METRICS, Resource
from support.kube_api.status import Json

VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
REVIEWS = (
    Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", is_namespaced=False),
    Resource("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", is_namespaced=False),
)
VERSION = {
    "major": "1",
    "minor": "33",
    "gitVersion": "v1.33.1",
    "gitCommit": "8adc0f041b8e7ad1d30e29cc59c6ae7a15e19828",
    "gitTreeState": "clean",
    "buildDate": "2025-05-15T08:19:08Z",
    "goVersion": "go1.24.2",
    "compiler": "gc",
    "platform": "linux/amd64",
}


def document(path: str, served: list[Resource]) -> Json | None:
    """What a discovery path answers, or nothing if it is not served."""
    served = [*served, *REVIEWS]
    match [part for part in path.split("/") if part]:
        case ["version"]:
            return dict(VERSION)
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            names = dict.fromkeys(one.group for one in served if one.group)
            groups = [_group(name, served) for name in names]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group]:
            known = any(one.group == group for one in served)
            return {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, served) if known else None
        case ["api" | "apis", *group, version]:
            return _resources("/".join(group), version, served)
        case _:
            return None


def _group(name: str, served: list[Resource]) -> Json:
    versions = dict.fromkeys(one.version for one in served if one.group == name)
    found = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": found, "preferredVersion": found[0]}


def _resources(group: str, version: str, served: list[Resource]) -> Json | None:
    found = [one for one in served if (one.group, one.version) == (group, version)]
    if not found:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": found[0].api_version,
        "resources": [entry for resource in found for entry in _entries(resource)],
    }


def _entries(resource: Resource) -> list[Json]:
    entry: Json = {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.is_namespaced,
        "kind": resource.kind,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    status = entry | {"name": f"{resource.plural}/status", "singularName": "", "verbs": ["get", "patch", "update"]}
    status.pop("shortNames", None)
    return [entry, status] if resource.has_status else [entry]


def _verbs(resource: Resource) -> list[str]:
    if resource in METRICS:
        return ["get", "list"]
    return ["create"] if resource in REVIEWS else VERBS
