"""One request: faults, authentication, authorization, and then who answers it."""

import asyncio
from random import Random

import msgspec
from aiohttp import web

from support.kube_api import access, discovery
from support.kube_api.access import Access
from support.kube_api.answers import json_answer, page_not_found, proxy_error, refusal
from support.kube_api.cluster import Call, Cluster
from support.kube_api.faults import Fault
from support.kube_api.paths import Target, target_of
from support.kube_api.reading import Reading
from support.kube_api.resources import METRICS
from support.kube_api.status import ApiError, Json, initializing, qualified, throttled, unauthorized, unknown_resource
from support.kube_api.wire import Network, StreamEndedError, Wire, abort
from support.kube_api.writing import Writing


class Handler:
    """Answers every request to one cluster."""

    def __init__(self, cluster: Cluster, network: Network) -> None:
        self._cluster = cluster
        self._network = network
        self._reading = Reading(cluster)
        self._writing = Writing(cluster)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self._network.open(request)
        try:
            await self._network.pass_through()
            target = target_of(request.method, request.path, request.query)
            self._note(request, target)
            faults = self._network.faults
            dice = Random(0) if faults is None else faults.random_for(request.path)
            fault = None if faults is None else faults.of_request(dice)
            await self._suffer(fault, request, target)
            if fault is Fault.HTML:
                return proxy_error(dice.choice((500, 502, 503, 504)))
            self._admit(request, target)
            return await self._answer(target, Wire(request, self._network, dice, fault))
        except ApiError as error:
            return refusal(error)
        except StreamEndedError:
            # The connection is gone; aiohttp wants an answer that it cannot send.
            return web.Response()
        finally:
            self._network.close(request)

    async def _answer(self, target: Target, wire: Wire) -> web.StreamResponse:
        if not target.resource:
            return self._document(target.path)
        if target.group == "authorization.k8s.io":
            return await self._review(wire.request, target)
        resource = self._cluster.lookup(target.group, target.version, target.resource)
        if resource is None or (target.subresource and not (target.subresource == "status" and resource.has_status)):
            return self._unknown(target)
        await self._cluster.until_released(resource.name)
        if resource.name in self._cluster.initializing:
            raise initializing()
        if resource in METRICS:
            return self._reading.metrics(resource, target)
        if target.verb in ("get", "list", "watch"):
            return await self._reading.answer(resource, target, wire)
        return await self._writing.answer(wire.request, resource, target)

    def _unknown(self, target: Target) -> web.Response:
        """JSON below a group that is built in, text below any other; observed on an API server 1.36."""
        if any(each.group == target.group and not each.is_custom for each in self._cluster.served):
            raise unknown_resource()
        return page_not_found()

    def _note(self, request: web.Request, target: Target) -> None:
        self._cluster.calls.append(
            Call(
                at_s=asyncio.get_running_loop().time(),
                verb=target.verb,
                resource=qualified(target.group, target.resource) if target.resource else "",
                namespace=target.namespace,
                path=request.path,
                query=dict(request.query),
                accept=request.headers.get("Accept", ""),
            )
        )

    async def _suffer(self, fault: Fault | None, request: web.Request, target: Target) -> None:
        """What a fault does before anything is answered."""
        if fault is Fault.REFUSE:
            abort(request)
            raise StreamEndedError
        if fault is Fault.SILENCE:
            await asyncio.Event().wait()
        if fault is Fault.THROTTLE:
            raise throttled()
        if fault is Fault.UNAUTHORIZED:
            raise unauthorized()
        if fault is Fault.COMPACT and (resource := self._cluster.lookup(target.group, target.version, target.resource)):
            self._cluster.compact(resource.name)

    def _admit(self, request: web.Request, target: Target) -> None:
        # The certificate is asked first, and its user stands whatever the token: observed on an API server 1.36.
        has_certificate = request.transport is not None and request.transport.get_extra_info("peercert")
        if not has_certificate and request.headers.get("Authorization") != f"Bearer {self._cluster.token}":
            raise unauthorized()
        self._cluster.access.check(target)
        if user := request.headers.get("Impersonate-User"):
            Access(user, grants=[]).check(target)

    def _document(self, path: str) -> web.Response:
        if path.rstrip("/") in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        found = discovery.document(path, self._cluster.served)
        return json_answer(found) if found else page_not_found()

    async def _review(self, request: web.Request, target: Target) -> web.Response:
        body: Json = msgspec.json.decode(await request.read())
        if target.resource == "selfsubjectaccessreviews":
            return json_answer(access.review(self._cluster.access, body), 201)
        return json_answer(access.rules_review(self._cluster.access, body), 201)
