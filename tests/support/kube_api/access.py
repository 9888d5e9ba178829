"""Who may do what: RBAC rules as in a Role or ClusterRole, and what a test forbids on top."""

from collections.abc import Iterable
from dataclasses import dataclass

from support.kube_api.paths import Target
from support.kube_api.status import ApiError, Json, details_of, qualified

ALWAYS_OPEN = ("/api", "/apis", "/version", "/healthz", "/livez", "/readyz", "/openapi")
"""What every authenticated client may read: the ClusterRole `system:discovery`."""


@dataclass(frozen=True)
class Grant:
    """Rules that hold in one namespace, or everywhere."""

    namespace: str | None
    rules: tuple[Json, ...]


class Access:
    """What a user may do; without grants everything."""

    def __init__(self, user: str, grants: list[Grant] | None = None) -> None:
        self.user = user
        self.grants = grants
        self.forbidden: set[tuple[str, str, str]] = set()
        """Group, resource, verb."""
        self.is_loaded = True
        """Whether the roles are known: a server that has just been started refuses everyone for a moment."""

    def grant(self, role: Json, namespaces: Iterable[str]) -> None:
        rules = tuple(role.get("rules") or ())
        found = [Grant(namespace, rules) for namespace in namespaces] or [Grant(None, rules)]
        self.grants = (self.grants or []) + found

    def check(self, target: Target) -> None:
        """Let a request pass.

        Raises:
            ApiError: 403.
        """
        if not self.allows(target):
            raise self._refusal(target)

    def allows(self, target: Target) -> bool:
        if not self.is_loaded:
            return False
        if not target.resource:
            return any(target.path == open_ or target.path.startswith(open_ + "/") for open_ in ALWAYS_OPEN)
        if (target.group, target.resource, target.verb) in self.forbidden:
            return False
        if self.grants is None or target.group == "authorization.k8s.io":
            return True
        return any(_covers(rule, target) for rule in self.rules_in(target.namespace))

    def rules_in(self, namespace: str) -> list[Json]:
        """What holds in a namespace; in none, what holds everywhere."""
        if self.grants is None:
            return [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        return [rule for grant in self.grants if grant.namespace in (None, namespace) for rule in grant.rules]

    def _refusal(self, target: Target) -> ApiError:
        if not target.resource:
            message = f'forbidden: User "{self.user}" cannot {target.verb} path "{target.path}"'
            return ApiError(403, "Forbidden", message)
        full = f"{target.resource}/{target.subresource}" if target.subresource else target.resource
        name = f' "{target.name}"' if target.name else ""
        where = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
        message = (
            f'{qualified(target.group, target.resource)}{name} is forbidden: User "{self.user}" cannot {target.verb} '
            f'resource "{full}" in API group "{target.group}" {where}'
        )
        return ApiError(403, "Forbidden", message, details=details_of(target.group, target.resource, target.name))


def review(access: Access, body: Json) -> Json:
    """Answer a SelfSubjectAccessReview."""
    asked = (body.get("spec") or {}).get("resourceAttributes") or {}
    target = Target(
        path="", verb=asked.get("verb", ""), group=asked.get("group", ""), version="v1",
        resource=asked.get("resource", ""), namespace=asked.get("namespace", ""), name=asked.get("name", ""),
        subresource=asked.get("subresource", ""),
    )  # fmt: skip
    allowed = bool(target.resource) and access.allows(target)
    return body | {"metadata": {"creationTimestamp": None}, "status": {"allowed": allowed}}


def rules_review(access: Access, body: Json) -> Json:
    """Answer a SelfSubjectRulesReview."""
    namespace = (body.get("spec") or {}).get("namespace", "")
    status = {"resourceRules": access.rules_in(namespace), "nonResourceRules": [], "incomplete": False}
    return body | {"metadata": {"creationTimestamp": None}, "status": status}


def _covers(rule: Json, target: Target) -> bool:
    full = f"{target.resource}/{target.subresource}" if target.subresource else target.resource
    names = rule.get("resourceNames") or []
    return (
        not {"*", target.verb}.isdisjoint(rule.get("verbs") or [])
        and not {"*", target.group}.isdisjoint(rule.get("apiGroups") or [])
        and not {"*", full, f"*/{target.subresource}"}.isdisjoint(rule.get("resources") or [])
        and (not names or target.name in names)
    )
