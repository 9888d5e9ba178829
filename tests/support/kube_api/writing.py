"""POST, PUT, PATCH and DELETE: from the request to the write, and what the client reads of it."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
from aiohttp import web

from support.kube_api.answers import json_answer
from support.kube_api.cluster import Cluster, whole
from support.kube_api.fields import applied, tracked
from support.kube_api.options import read
from support.kube_api.paths import Target
from support.kube_api.resources import Resource
from support.kube_api.rules import Rules
from support.kube_api.status import (
    Json,
    bad_request,
    conflict,
    details_of,
    method_not_allowed,
    no_manager,
    success,
    unsupported_media_type,
)
from support.kube_api.views import View
from support.kube_api.writes import Part, merged, timestamp

APPLY = "application/apply-patch+yaml"

RETURNED_WHEN_DELETED = {"pods", "services", "persistentvolumes", "persistentvolumeclaims"}
"""A deletion answers with the object for these, with a Status for all others."""


class Writing:
    """Changes the cluster as a client asks."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._writer = cluster.writer
        self._rules = Rules(cluster)

    async def answer(self, request: web.Request, resource: Resource, target: Target) -> web.Response:
        namespace = target.namespace if resource.is_namespaced else ""
        body = await _body(request)
        part: Part = "status" if target.subresource == "status" else "main"
        match target.verb:
            case "create" if not target.name:
                _check_body(resource, namespace, "", body)
                body.setdefault("metadata", {}).setdefault("namespace", namespace)
                body = self._rules.admit(resource, body, None, is_strict=_is_strict(request))
                if request.query.get("dryRun") != "All":  # which no test asks of another write
                    body = whole(resource, self._writer.create(resource, body, keeps_status=False))
                return json_answer(body, 201)
            case "update" if target.name:
                _check_body(resource, namespace, target.name, body)
                edit = self._edit(request, resource, part, lambda _: body)
                record = self._writer.update(resource, namespace, target.name, edit, part)
                return json_answer(whole(resource, record))
            case "patch" if target.name and request.content_type == APPLY:
                return self._apply(request, resource, target, body, part)
            case "patch" if target.name:
                if request.content_type != "application/merge-patch+json":
                    raise unsupported_media_type()
                edit = self._edit(request, resource, part, lambda old: merged(old, body))
                record = self._writer.update(resource, namespace, target.name, edit, part)
                return json_answer(whole(resource, record))
            case "delete" if not target.subresource:
                return self._delete(request, resource, namespace, target.name, body)
            case "deletecollection":
                return self._delete_all(request, resource, namespace, body)
            case _:
                raise method_not_allowed()

    def _edit(
        self, request: web.Request, resource: Resource, part: Part, change: Callable[[Json], Json]
    ) -> Callable[[Json], Json]:
        """A change as the server takes it: with its rules, and with who owns what from then on."""
        manager = request.query.get("fieldManager") or request.headers.get("User-Agent", "").partition("/")[0]

        def edit(old: Json) -> Json:
            new = self._rules.admit(resource, change(old), old, is_strict=_is_strict(request))
            return tracked(resource, old, new, manager, part, now=timestamp())

        return edit

    def _apply(self, request: web.Request, resource: Resource, target: Target, body: Json, part: Part) -> web.Response:
        """Server-side apply: creates what is absent, for which `create` is needed, too."""
        namespace = target.namespace if resource.is_namespaced else ""
        _check_body(resource, namespace, target.name, body)
        manager, strict = request.query.get("fieldManager"), _is_strict(request)
        if not manager:
            raise no_manager()
        is_forced = request.query.get("force") == "true"

        def edit(old: Json | None) -> Json:
            new = applied(resource, old, body, manager, part, is_forced=is_forced, now=timestamp())
            return self._rules.admit(resource, new, old, is_strict=strict)

        if self._cluster.store.get(resource, namespace, target.name) is None and part == "main":
            self._cluster.access.check(replace(target, verb="create", name=""))
            if uid := body["metadata"].get("uid"):
                why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                raise conflict(resource.group, resource.plural, target.name, why)
            content = edit(None)
            content["metadata"] |= {"name": target.name} | ({"namespace": namespace} if namespace else {})
            return json_answer(whole(resource, self._writer.create(resource, content, keeps_status=False)), 201)
        record = self._writer.update(resource, namespace, target.name, edit, part)
        return json_answer(whole(resource, record))

    def _delete(self, request: web.Request, resource: Resource, namespace: str, name: str, body: Json) -> web.Response:
        record, is_gone = self._writer.delete(
            resource, namespace, name, grace_s=_grace_s(request, body), preconditions=body.get("preconditions")
        )
        if is_gone and resource.name not in RETURNED_WHEN_DELETED:
            return json_answer(success(details_of(resource.group, resource.plural, name) | {"uid": record.uid}))
        return json_answer(whole(resource, record))

    def _delete_all(self, request: web.Request, resource: Resource, namespace: str, body: Json) -> web.Response:
        selects = read(request.query).selects(resource, namespace)
        found = [record for record in self._cluster.store.collection(resource).records.values() if selects(record)]
        for record in found:
            self._writer.delete(resource, record.namespace, record.name, grace_s=_grace_s(request, body))
        parts = View(resource, "whole").page(found, self._cluster.store.revision, "", None)
        return web.Response(body=b"".join(parts), content_type="application/json")


def _is_strict(request: web.Request) -> bool:
    return request.query.get("fieldValidation") == "Strict"


async def _body(request: web.Request) -> Json:
    text = await request.read()
    try:
        found = msgspec.json.decode(text or b"{}")
    except msgspec.DecodeError as error:
        raise bad_request(f"the object provided is unrecognized: json parse error: {error}") from error
    if not isinstance(found, dict):
        raise bad_request("the object provided is unrecognized: cannot unmarshal into an object")
    return found


def _check_body(resource: Resource, namespace: str, name: str, body: Json) -> None:
    metadata = body.get("metadata") or {}
    found = body.get("apiVersion", resource.api_version), body.get("kind", resource.kind)
    if found != (resource.api_version, resource.kind):
        raise bad_request(
            f"{found[1]} in version {found[0]!r} cannot be handled as a {resource.kind}: "
            f"expected {resource.api_version}"
        )
    if namespace and metadata.get("namespace") not in (None, "", namespace):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if name and metadata.get("name") != name:
        raise bad_request("the name of the object does not match the name on the URL")


def _grace_s(request: web.Request, body: Json) -> int | None:
    found = request.query.get("gracePeriodSeconds", body.get("gracePeriodSeconds"))
    return None if found is None else int(found)
