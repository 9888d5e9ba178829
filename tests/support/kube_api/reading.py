"""GET: one object, a list, a watch, or the figures of metrics-server."""

import asyncio
from random import Random

from aiohttp import web

from support.kube_api import lists, options
from support.kube_api.answers import json_answer
from support.kube_api.cluster import Cluster
from support.kube_api.faults import Fault
from support.kube_api.paths import Target
from support.kube_api.resources import Resource
from support.kube_api.status import ApiError, Json, method_not_allowed, not_found
from support.kube_api.views import View, shape_of
from support.kube_api.watches import Watch, error_line
from support.kube_api.wire import StreamEndedError, Wire


class Reading:
    """Shows the cluster as a client asks."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def answer(self, resource: Resource, target: Target, wire: Wire) -> web.StreamResponse:
        asked = options.read(wire.request.query)
        view = View(resource, shape_of(wire.request.headers.get("Accept", "")), asked.include)
        namespace = target.namespace if resource.is_namespaced else ""
        if target.verb == "get":
            record = self._cluster.writer.get(resource, namespace, target.name)
            return web.Response(body=view.object(record), content_type="application/json")
        options.check(asked, knows_watch_list=self._cluster.watch_list)
        lag = wire.dice if wire.fault is Fault.STALE else None
        if target.verb == "list":
            page = lists.read_page(self._cluster.store, resource, namespace, asked, lag)
            return await wire.send_document(page.encode(view))
        watch = Watch(self._cluster.store, resource, view, asked.selects(resource, namespace), asked)
        return await self._watch(watch, wire, lag)

    def metrics(self, resource: Resource, target: Target) -> web.Response:
        items = self._cluster.metrics.get(resource.name, [])
        if target.verb == "list":
            found = [item for item in items if target.namespace in ("", item["metadata"].get("namespace", ""))]
            head: Json = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": {}}
            return json_answer(head | {"items": found})
        if target.verb != "get":
            raise method_not_allowed()
        for item in items:
            metadata = item["metadata"]
            if (metadata.get("namespace", ""), metadata["name"]) == (target.namespace, target.name):
                return json_answer({"kind": resource.kind, "apiVersion": resource.api_version} | item)
        raise not_found(resource.group, resource.plural, target.name)

    async def _watch(self, watch: Watch, wire: Wire, lag: Random | None) -> web.StreamResponse:
        try:
            first = watch.begin(lag)
        except ApiError as error:
            if error.code != 410 or not self._cluster.gone_in_stream:
                raise
            return await wire.send_document([error_line(error)])
        self._cluster.watches.add(watch)
        try:
            may_compress = self._cluster.compresses_streamed_lists and bool(watch.options.initial_events)
            await wire.prepare(may_compress=may_compress)
            await wire.send_lines(first)
            await self._follow(watch, wire)
        except StreamEndedError:
            pass
        finally:
            self._cluster.watches.discard(watch)
            watch.end()
        return await wire.finish()

    async def _follow(self, watch: Watch, wire: Wire) -> None:
        """Until the client's timeout, a fault of the server, or the client is gone."""
        now = asyncio.get_running_loop().time
        ends_at = now() + (watch.options.timeout_s or float("inf"))
        bookmark_at = now() + self._cluster.bookmark_interval_s
        while now() < ends_at and not watch.follower.is_closed:
            await wire.send_lines(await watch.next_lines(min(ends_at, bookmark_at) - now()))
            if now() >= bookmark_at:
                bookmark_at = now() + self._cluster.bookmark_interval_s
                if self._cluster.bookmarks:
                    watch.ask_bookmark()
