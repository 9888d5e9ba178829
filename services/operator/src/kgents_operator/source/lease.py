"""One operator at a time: a Lease of Kubernetes, since NATS may be away while databases must be looked after.

Server-side apply makes two operators harmless; the Lease keeps them from working twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog

from kgents_operator.kinds import LEASES
from kgents_shared.kubernetes.client import ApiClient, Write
from kgents_shared.kubernetes.error import ApiError
from kgents_shared.runtime.clock import Clock

Json = dict[str, Any]

NAME: Final = "kgents-operator"
STANDBY: Final = "kgents-operator-standby"
"""The Lease of who would work next."""
TTL_S: Final = 15
RENEW_S: Final = 5.0
MARGIN_S: Final = 3.0
"""Before the end of the Lease the work is ended, so that a standby never begins beside it."""

_log = structlog.get_logger(__name__)


class Leadership:
    """Runs its work for as long as this instance holds the Lease."""

    def __init__(self, client: ApiClient, clock: Clock, namespace: str, instance: str, name: str = NAME) -> None:
        self.is_held = False
        self.fault = ""
        """Why the Lease can be neither read nor written; empty: it can."""
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._instance = instance
        self._name = name
        self._renewed_s = 0.0
        self._seen: tuple[str, float] = ("", 0.0)  # the version of another's Lease, and since when it is the same

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the Lease, work, and wait again when it is lost. Never returns."""
        while True:
            if not await self.take():
                await self._clock.sleep(RENEW_S)
                continue
            _log.info("lease_taken", lease=f"{self._namespace}/{self._name}")
            self.is_held = True
            working = asyncio.ensure_future(work())
            try:
                await self._renew_until_lost(working)
            finally:
                self.is_held = False
                working.cancel()
                await asyncio.wait([working])
            if not working.cancelled():
                working.result()  # raises its error
            _log.warning("lease_lost", reason=self.fault)

    @property
    def left_s(self) -> float:
        """Seconds for which this instance may still write: nothing that it waits for may last longer."""
        return self._renewed_s + TTL_S - MARGIN_S - self._clock.monotonic_s()

    async def _renew_until_lost(self, working: "asyncio.Future[None]") -> None:
        while not working.done() and (left_s := self.left_s) > 0:
            await asyncio.wait([working], timeout=min(RENEW_S, left_s))
            if not working.done() and self.left_s > 0 and not await self.take() and not self.fault:
                return

    async def take(self) -> bool:
        """Create, renew or take over the Lease; whether it is ours now."""
        began_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(self.left_s if self.is_held else TTL_S - MARGIN_S):
                is_ours = await self._write()
        except ApiError as error:
            self.fault = str(error)
            return False
        except TimeoutError:  # the last try may have had a moment only: an earlier one's refusal says more
            self.fault = self.fault or "no answer in time"
            return False
        self.fault = ""
        if is_ours:
            self._renewed_s = began_s
        return is_ours

    async def _write(self) -> bool:
        path, now = LEASES.path(self._namespace, self._name), self._clock.now()
        try:
            found = await self._client.get(path, {}, dict[str, Any])
        except ApiError as error:
            if error.status != 404:
                raise
            return await self._put("POST", LEASES.path(self._namespace), {}, now)
        spec = found.get("spec") or {}
        if spec.get("holderIdentity") not in ("", None, self._instance) and not self._is_over(found):
            return False
        return await self._put("PUT", path, found, now)

    def _is_over(self, found: Json) -> bool:
        """Whether its holder has not renewed it for its time, by our clock: those of others may be wrong."""
        version, now_s = found["metadata"]["resourceVersion"], self._clock.monotonic_s()
        if self._seen[0] != version:
            self._seen = version, now_s
        return now_s - self._seen[1] > float(found["spec"].get("leaseDurationSeconds") or TTL_S)

    async def _put(self, method: str, path: str, found: Json, now: datetime) -> bool:
        old = found.get("spec") or {}
        is_renewal = old.get("holderIdentity") == self._instance
        written = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            "holderIdentity": self._instance,
            "leaseDurationSeconds": TTL_S,
            "acquireTime": old.get("acquireTime", written) if is_renewal else written,
            "renewTime": written,
            "leaseTransitions": int(old.get("leaseTransitions") or 0) + (0 if is_renewal or not found else 1),
        }
        metadata = found.get("metadata") or {"name": self._name, "namespace": self._namespace}
        body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
        try:
            await self._client.write(path, {}, Write(method, msgspec.json.encode(body)), msgspec.Raw)
        except ApiError as error:
            if error.status == 409:  # another one was faster
                return False
            raise
        return True


class Standby:
    """Who would take over: what is begun for a time ends although the one that works is lost, if there is one."""

    def __init__(self, client: ApiClient, clock: Clock, namespace: str, instance: str) -> None:
        self._client = client
        self._clock = clock
        self._path = LEASES.path(namespace, STANDBY)
        self._instance = instance
        self._lease = Leadership(client, clock, namespace, instance, STANDBY)
        self._version = ""
        self._renewed_s: float | None = None  # when another instance was seen to renew it last

    @property
    def is_there(self) -> bool:
        """Whether another instance stands by, as the one that works has seen it."""
        return self._renewed_s is not None and self._clock.monotonic_s() - self._renewed_s < TTL_S

    async def run(self, is_working: Callable[[], bool]) -> None:
        """Stand by while this instance does not work, and see who does while it works. Never returns."""
        while True:
            if is_working():
                await self._see()
            else:
                self._version, self._renewed_s = "", None
                await self._lease.take()
            await self._clock.sleep(RENEW_S)

    async def _see(self) -> None:
        """One that does not change is of an instance that is gone."""
        try:
            async with asyncio.timeout(RENEW_S):
                found = await self._client.get(self._path, {}, dict[str, Any])
        except (ApiError, TimeoutError):
            return
        version = found["metadata"]["resourceVersion"]
        is_new, self._version = self._version not in ("", version), version
        if is_new and (found.get("spec") or {}).get("holderIdentity") != self._instance:
            self._renewed_s = self._clock.monotonic_s()
