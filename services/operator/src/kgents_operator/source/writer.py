"""What the operator asks an API server to change, each as one request."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from kgents_operator.desired.owner import MANAGER, Owner
from kgents_operator.kinds import EVENTS, JOBS, PODS, SECRETS, Api
from kgents_shared.kubernetes.client import ApiClient, Write
from kgents_shared.kubernetes.error import ApiError

Json = dict[str, Any]
T = TypeVar("T")

APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
STRICT: Final = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
"""A field that the server does not know is refused, not pruned."""
REPORTER: Final = "kgents.io/operator"


class Writer:
    """Writes in the name of one operator."""

    def __init__(self, client: ApiClient, instance: str, may_write: Callable[[], bool]) -> None:
        """`may_write`: whether this instance holds the Lease: it may have been lost while the process was paused."""
        self._client = client
        self._instance = instance
        self._may_write = may_write

    async def _send(self, path: str, params: dict[str, str], write: Write, type_: type[T]) -> T:
        """Change something.

        Raises:
            ApiError: the Lease is lost, or the server refused it.
            TimeoutError: no answer in time.
        """
        if not self._may_write():
            raise ApiError(0, "expected to hold the Lease, found its time over: another operator may work now")
        return await self._client.write(path, params, write, type_)

    async def get(self, api: Api, namespace: str, name: str) -> Json | None:
        """An object as it is now; None: there is none."""
        try:
            return await self._client.get(api.path(namespace, name), {}, dict)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def is_served(self, api_version: str) -> bool | None:
        """Whether the server knows an API; None: that cannot be read."""
        try:
            await self._client.get(f"/apis/{api_version}", {}, msgspec.Raw)
        except ApiError as error:
            return False if error.status == 404 else None
        except TimeoutError:
            return None
        return True

    async def create_secret(self, document: Json) -> bool:
        """Create a Secret where there is none of its name; returns whether it was made. It is never read."""
        write = Write("POST", msgspec.json.encode(document))
        try:
            await self._send(SECRETS.path(document["metadata"]["namespace"]), STRICT, write, msgspec.Raw)
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        return True

    async def start_timer(self, document: Json, *, is_trial: bool = False) -> Json:
        """Create a Job. `is_trial`: only see whether the server would take it."""
        write, trial = Write("POST", msgspec.json.encode(document)), {"dryRun": "All"} if is_trial else {}
        return await self._send(JOBS.path(document["metadata"]["namespace"]), STRICT | trial, write, dict)

    async def apply(self, api: Api, document: Json) -> Json:
        """Server-side apply: what we state is ours from then on; what others state besides stays."""
        return await self._apply(api, document, STRICT)

    async def _apply(self, api: Api, document: Json, params: dict[str, str], subresource: str = "") -> Json:
        metadata = document["metadata"]
        path = api.path(metadata["namespace"], metadata["name"], subresource)
        write = Write("PATCH", msgspec.json.encode(document), APPLY)
        return await self._send(path, {**params, "force": "true"}, write, dict)

    async def put_status(self, api: Api, owner: Owner, status: Json) -> None:
        """Apply the status of a resource. One that is gone needs none."""
        document = {
            "apiVersion": owner.api_version,
            "kind": owner.kind,
            # With the uid, a resource of the same name that was made since is not meant.
            "metadata": {"name": owner.name, "namespace": owner.namespace, "uid": owner.uid},
            "status": status,
        }
        try:
            # Not strictly: of a definition that is older than we are, what it knows is still to be said.
            await self._apply(api, document, {"fieldManager": MANAGER}, "status")
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def pods(self, namespace: str, labels: dict[str, str]) -> list[Json]:
        """The pods with these labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        found = await self._client.get(PODS.path(namespace), {"labelSelector": selector}, dict[str, Any])
        return list(found.get("items") or ())

    async def delete(self, api: Api, namespace: str, name: str, uid: str) -> None:
        """Delete this very object; one that is gone, or another one of its name, is left alone."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            write = Write("DELETE", msgspec.json.encode(body))
            await self._send(api.path(namespace, name), {}, write, msgspec.Raw)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def grow(self, api: Api, namespace: str, claim: str, size: str) -> None:
        """Ask for a larger volume."""
        patch = {"spec": {"resources": {"requests": {"storage": size}}}}
        write = Write("PATCH", msgspec.json.encode(patch), MERGE)
        await self._send(api.path(namespace, claim), {"fieldManager": MANAGER}, write, msgspec.Raw)

    async def events(self, owner: Owner, conditions: Sequence[Json], now: str) -> None:
        """Say on the resource what has changed."""
        for each in conditions:
            is_well = (each["status"] == "True") != (each["type"] == "Drift")
            document = {
                "apiVersion": EVENTS.api_version,
                "kind": EVENTS.kind,
                "metadata": {"generateName": f"{owner.name}-", "namespace": owner.namespace},
                "eventTime": now,
                "type": "Normal" if is_well or each["status"] == "Unknown" else "Warning",
                "reason": each["reason"],
                "action": each["type"],
                "note": each["message"],
                "reportingController": REPORTER,
                "reportingInstance": self._instance[:128],
                "regarding": {
                    "apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name,
                    "namespace": owner.namespace, "uid": owner.uid,
                },
            }  # fmt: skip
            write = Write("POST", msgspec.json.encode(document))
            await self._send(EVENTS.path(owner.namespace), {}, write, msgspec.Raw)
