"""A stand-in for Qdrant, which no package provides: it serves the REST API, and every answer is validated.

Each answer must be accepted by the models of Qdrant's own client, else the request fails with 500 and so does the test.
If the environment variable QDRANT_OPENAPI_DIR names a folder with Qdrant's published OpenAPI documents
(`v1.7.x.json`, …), each answer is also checked against that of the version played. So shapes are proven; how a real
server behaves (when yellow becomes green, what raft does in a partition) is not. The format of `/metrics` is in no
document: its names are those of Qdrant's manual.
"""

import asyncio
import functools
import json
import os
import socket
import ssl
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter
from qdrant_client import models
from referencing import Registry, Resource

from support.ports import free_port
from support.qdrant_points import Payload, PointId, UnindexedError, drawn, retrieved, scrolled

VERSIONS = ("1.7", "1.12", "1.16", "1.19")
BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)
FOLDER = os.environ.get("QDRANT_OPENAPI_DIR", "")

_MODELS: dict[str, Any] = {
    "/collections": models.CollectionsResponse,
    "/collections/{collection_name}": models.CollectionInfo,
    "/collections/{collection_name}/cluster": models.CollectionClusterInfo,
    "/cluster": models.ClusterStatus,
    "/telemetry": models.TelemetryData,
}
_CONFIG: dict[str, Any] = {
    "params": {"vectors": {"size": 4, "distance": "Cosine"}, "shard_number": 1, "replication_factor": 1},
    "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
    "optimizer_config": {
        "deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0,
        "flush_interval_sec": 5, "max_optimization_threads": 1,
    },
    "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
}  # fmt: skip


class QdrantStub:
    """`async with QdrantStub() as stub`. Its fields are its answers; change them for a fault."""

    def __init__(
        self, version: str = "1.19", *, api_key: str = "", prefix: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        self.version = version
        self.minor = int(version.split(".")[1])
        self.api_key = api_key
        self.prefix = prefix
        self.tls = tls
        self.collections: dict[str, dict[str, Any]] = {}
        self.cluster: dict[str, Any] = {"status": "disabled"}
        self.replicas: dict[str, list[tuple[int, int, str]]] = {}
        """Collection → (shard, peer, state) of each copy."""
        self.is_ready = True
        self.statuses: dict[str, int] = {}
        """Path → what it answers instead."""
        self.gauges: dict[str, float] = {}
        """Further lines of `/metrics`."""
        self.points: dict[str, dict[PointId, Payload]] = {}
        """Collection → its points, of which it counts as many."""
        self.indexes: dict[str, dict[str, str]] = {}
        """Collection → field of the payload → type of its index."""
        self.asked: dict[str, Any] = {}
        """Collection → the request that made it."""
        self.snapshots: dict[str, bytes] = {}
        """Path of each that was made and not deleted → what is in it."""
        self.raw: dict[str, bytes] = {}
        """Path → a body that is not validated."""
        self.seen: list[str] = []
        """Paths that were asked for."""
        self.port = free_port()
        self.faults: list[str] = []
        """Answers that a check refused."""
        self._starts = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._requests: dict[tuple[str, str, str, str], list[float]] = {}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        assert not self.faults, f"the stub sent what Qdrant never sends: {self.faults}"

    async def start(self) -> None:
        """Start, or start again on the same port: another process, with the same collections."""
        self._starts += 1
        self._requests = {}
        app = web.Application(middlewares=[self._gate])
        app.router.add_route("*", "/collections/{name}/snapshots{which:.*}", self._snapshot)
        app.router.add_get("/{path:.*}", self._get)
        app.router.add_route("*", "/{path:.*}", self._change)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        await web.SockSite(self._runner, listener, ssl_context=self.tls).start()

    async def stop(self) -> None:
        self._flowing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def pause(self) -> None:
        """Accept connections and send no answer."""
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def add(self, name: str, **more: Any) -> None:
        """Add a collection, green by default."""
        info = {"status": "green", "optimizer_status": "ok", "points_count": 0, "segments_count": 1, **more}
        self.collections[name] = info

    def join_cluster(self, *, peers: Iterable[int] = (1, 2, 3), leader: int = 1, **more: Any) -> None:
        """This is peer 1 of these."""
        self.cluster = {
            "status": "enabled",
            "peer_id": 1,
            "peers": {str(peer): {"uri": f"http://qdrant-{peer}.qdrant:6335/"} for peer in peers},
            "raft_info": {
                "term": 7, "commit": 42, "pending_operations": 0, "leader": leader,
                "role": "Leader" if leader == 1 else "Follower", "is_voter": True,
            },
            "consensus_thread_status": {
                "consensus_thread_status": "working", "last_update": "2026-01-01T00:00:00Z",
            },
            "message_send_failures": {},
            **more,
        }  # fmt: skip

    def request(
        self, endpoint: str, count: int, *, seconds: float = 0.002, status: int = 200, api: str = "rest"
    ) -> None:
        """Requests that were answered; those for points only, as the real one counts."""
        durations = self._requests.setdefault((api, "POST", endpoint, str(status)), [])
        durations += [seconds] * count

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.seen.append(request.path)
        await self._flowing.wait()
        if self.api_key and request.path != "/" and not request.path.startswith(("/readyz", "/healthz", "/livez")):
            # Headers are bytes on the wire; aiohttp reads them as UTF-8 and keeps what is none as surrogates.
            given = request.headers.get("api-key", "").encode("utf-8", "surrogateescape")
            if given != self.api_key.encode():
                return self._error(401, "Must provide an API key or an Authorization bearer token")
        if (status := self.statuses.get(request.path)) is not None:
            return self._error(status, "as configured")
        response: web.StreamResponse = await handler(request)
        return response

    async def _get(self, request: web.Request) -> web.Response:
        path = request.path
        if path in self.raw:
            return web.Response(body=self.raw[path], content_type="application/json")
        if path == "/readyz":
            text = "all shards are ready" if self.is_ready else "some shards are not ready"
            return web.Response(text=text, status=200 if self.is_ready else 503)
        if path == "/":
            return web.json_response({"title": "qdrant - vector search engine", "version": f"{self.version}.0"})
        if path == "/metrics":
            return web.Response(text=self._metrics())
        if path == "/telemetry":
            return self._answer(path, self._telemetry(int(request.query.get("details_level", "0"))))
        return self._described(path)

    async def _snapshot(self, request: web.Request) -> web.Response:
        """Made, fetched or deleted."""
        path, name = request.path, request.match_info["name"]
        if request.method == "POST":
            made = f"{name}-{len(self.seen)}.snapshot"
            self.snapshots[f"{path}/{made}"] = f"all points of {name}".encode()
            return self._result({"name": made, "creation_time": "2026-01-01T00:00:00", "size": 1})
        if path not in self.snapshots:
            return self._error(404, "Not found")
        if request.method == "DELETE":
            return self._result(self.snapshots.pop(path) is not None)
        return web.Response(body=self.snapshots[path])

    def _described(self, path: str) -> web.Response:
        known: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
            "/cluster": ("/cluster", lambda: self.cluster),
            "/collections": ("/collections", lambda: {"collections": [{"name": name} for name in self.collections]}),
        }
        for name in self.collections:
            known[f"/collections/{name}"] = ("/collections/{collection_name}", partial(self._info, name))
            spread = partial(self._spread, name)
            known[f"/collections/{name}/cluster"] = ("/collections/{collection_name}/cluster", spread)
        if path not in known:
            return self._error(404, "Not found")
        documented, result = known[path]
        return self._answer(documented, result())

    async def _change(self, request: web.Request) -> web.Response:
        """What tests do through Qdrant's own client; the answers' shapes are the client's affair."""
        body = await request.json() if request.can_read_body else {}
        match request.method, request.path.strip("/").split("/"):
            case "PUT", ["collections", name]:
                self.add(name)
                self.asked[name] = body
                return self._result(True)
            case "DELETE", ["collections", name]:
                return self._result(self.collections.pop(name, None) is not None)
            case "PUT", ["collections", name, "points"]:
                self.collections[name]["points_count"] += len(body["points"])
                self.request("/collections/{name}/points", 1)
                return self._result({"operation_id": 0, "status": "completed"})
            case "POST", ["collections", name, "points", *how] if name in self.points:
                return self._asked(name, how, body)
            case "POST", ["collections", _, "points", "query"]:
                self.request("/collections/{name}/points/query", 1)
                return self._result({"points": []})
            case _:
                return self._error(404, "Not found")

    def _asked(self, name: str, how: list[str], body: dict[str, Any]) -> web.Response:
        """A question about points."""
        points = self.points[name]
        known: dict[str, Callable[[], Any]] = {
            "": lambda: retrieved(points, body),
            "scroll": lambda: scrolled(points, self.indexes.get(name, {}), body),
            "count": lambda: {"count": len(points)},
            **({"query": lambda: drawn(points, body)} if self.minor >= 11 else {}),
        }
        try:
            answer = known.get("/".join(how))
            return self._error(404, "Not found") if answer is None else self._result(answer())
        except UnindexedError as error:
            return self._error(400, f"Index required but not found for {error}")

    def _info(self, name: str) -> dict[str, Any]:
        indexes = self.indexes.get(name, {})
        schema = {field: {"data_type": kind, "points": len(self.points[name])} for field, kind in indexes.items()}
        info = {**self.collections[name], "config": _CONFIG, "payload_schema": schema}
        if name in self.points:
            info["points_count"] = len(self.points[name])
        info.setdefault("indexed_vectors_count", info["points_count"])
        if self.minor <= 15:
            info.setdefault("vectors_count", info["points_count"])
        if self.minor >= 17:
            info.setdefault("update_queue", {"length": 3})
        return info

    def _spread(self, name: str) -> dict[str, Any]:
        copies = self.replicas.get(name, [(0, 1, "Active")])
        mine = [each for each in copies if each[1] == 1]
        local = [{"shard_id": shard, "points_count": 1, "state": state} for shard, _, state in mine]
        remote = [{"shard_id": shard, "peer_id": peer, "state": state} for shard, peer, state in copies if peer != 1]
        shards = len({each[0] for each in copies})
        return {
            "peer_id": 1, "shard_count": shards, "local_shards": local, "remote_shards": remote, "shard_transfers": [],
        }  # fmt: skip

    def _telemetry(self, level: int) -> dict[str, Any]:
        app = {"name": "qdrant", "version": f"{self.version}.3", "startup": f"2026-01-0{self._starts}T00:00:00Z"}
        telemetry: dict[str, Any] = {
            "id": f"start-{self._starts}",
            "app": app,
            "collections": {"number_of_collections": len(self.collections)},
            "cluster": {"enabled": self.cluster["status"] == "enabled"},
            "requests": {"rest": {"responses": {}}, "grpc": {"responses": {}}},
        }
        if level >= 1 and self.minor >= 8:
            sizes = {"active_bytes": 90, "allocated_bytes": 80, "metadata_bytes": 5, "retained_bytes": 9}
            telemetry["memory"] = {**sizes, "resident_bytes": 100 * 1024**2}
        return telemetry

    def _metrics(self) -> str:
        points = sum(each["points_count"] for each in self.collections.values())
        lines = [
            "# HELP app_info information about qdrant server",
            "# TYPE app_info gauge",
            f'app_info{{name="qdrant",version="{self.version}.3"}} 1',
            f"collections_total {len(self.collections)}",
            f"collections_vector_total {points}",
            *(f"{name} {value}" for name, value in self.gauges.items()),
        ]
        for (api, method, endpoint, status), durations in self._requests.items():
            labels = f'endpoint="{endpoint}"'
            if api == "rest":
                labels = f'method="{method}",endpoint="{endpoint}",status="{status}"'
            lines.append(f"{api}_responses_total{{{labels}}} {len(durations)}")
            lines.append(f"{api}_responses_fail_total{{{labels}}} {len(durations) if status != '200' else 0}")
            if status == "200" and self.minor >= 8:  # timings of successes only
                lines += self._histogram(f"{api}_responses_duration_seconds", labels, durations)
        return "\n".join(line if line.startswith("#") else self.prefix + line for line in lines) + "\n"

    def _histogram(self, name: str, labels: str, durations: list[float]) -> list[str]:
        return [
            *(f'{name}_bucket{{{labels},le="{le}"}} {sum(each <= le for each in durations)}' for le in BUCKETS),
            f'{name}_bucket{{{labels},le="+Inf"}} {len(durations)}',
            f"{name}_sum{{{labels}}} {sum(durations)}",
            f"{name}_count{{{labels}}} {len(durations)}",
        ]

    def _answer(self, path: str, result: Any) -> web.Response:
        body = {"time": 0.001, "status": "ok", "result": result}
        try:
            TypeAdapter(_MODELS[path]).validate_python(result)
            for validator in validators(self.version, path):
                validator.validate(json.loads(json.dumps(body)))
        except Exception as error:  # noqa: BLE001 - whatever a check refuses fails the test, at its end at the latest
            self.faults.append(f"{path}: {str(error)[:500]}")
            return self._error(500, "the stub sent what Qdrant never sends")
        return web.json_response(body)

    def _result(self, result: Any) -> web.Response:
        return web.json_response({"time": 0.001, "status": "ok", "result": result})

    def _error(self, status: int, text: str) -> web.Response:
        headers = {"Retry-After": "1"} if status == 429 else {}
        return web.json_response({"time": 0.0, "status": {"error": text}}, status=status, headers=headers)


@functools.cache
def validators(version: str, path: str) -> tuple[Draft202012Validator, ...]:
    """The published schema of a path's answer; none without QDRANT_OPENAPI_DIR."""
    file = Path(FOLDER) / f"v{version}.x.json"
    if not FOLDER or not file.exists():
        return ()
    document = _as_json_schema(json.loads(file.read_text()))
    registry: Registry[Any] = Registry().with_resource("urn:api", Resource.opaque(document))
    place = path.replace("/", "~1")
    reference = f"urn:api#/paths/{place}/get/responses/200/content/application~1json/schema"
    return (Draft202012Validator({"$ref": reference}, registry=registry),)


def _as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0 → JSON Schema 2020-12: `nullable` becomes a union with null, formats of numbers go."""
    if isinstance(node, list):
        return [_as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: _as_json_schema(value) for key, value in node.items() if key not in ("nullable", "format", "example")}
    if "$ref" in found and str(found["$ref"]).startswith("#"):
        found["$ref"] = f"urn:api{found['$ref']}"
    if node.get("nullable") is True:
        return {"anyOf": [found, {"type": "null"}]} if set(found) - {"description"} else {"type": "null"}
    return found
