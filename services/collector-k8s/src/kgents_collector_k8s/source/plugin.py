"""Login plugins of a kubeconfig (`exec`): their command → a token or a certificate, within a deadline.

kubernetes-asyncio runs them without one, leaves them running when its caller gives up, and waits forever for one that
writes much to stderr. It looks its provider up by name when it logs in, so ours takes that name's place.
"""

import asyncio
import json
import os
import signal
from contextlib import suppress
from typing import Any, Final

from kubernetes_asyncio.config import ConfigException, kube_config
from kubernetes_asyncio.config.exec_provider import ExecProvider
from kubernetes_asyncio.config.kube_config import ConfigNode

DEADLINE_S: Final = 30.0
"""It may ask a provider over the network; no one is there to type."""


CLUSTER: Final = "cluster"
"""Where in a plugin's description stands what it learns of the cluster: our own addition to it."""


class PluginError(ConfigException):
    """What went wrong, in our words: the plugin's own may hold a token."""


class Plugin(ExecProvider):
    """One plugin, as a kubeconfig describes it."""

    def __init__(self, exec_config: ConfigNode) -> None:
        super().__init__(exec_config)
        self._cluster = exec_config.safe_get(CLUSTER)
        self._name = f"the login plugin {self.args[0]}"

    async def run(self, previous_response: str | None = None) -> Any:
        """Its `status`.

        Raises:
            PluginError: it failed or took too long, or what it printed is no credential.
        """
        code, out = await self._answer()
        if code != 0:
            raise PluginError(f"{self._name} ended with {code}")
        try:
            found = json.loads(out)
        except ValueError:
            found = None
        if not isinstance(found, dict) or found.get("apiVersion") != self.api_version:
            raise PluginError(f"{self._name} gave no ExecCredential of {self.api_version}")
        status = found.get("status") or {}
        if not status.get("token") and not (status.get("clientCertificateData") and status.get("clientKeyData")):
            raise PluginError(f"{self._name} gave neither a token nor a certificate")
        return status

    async def _answer(self) -> tuple[int | None, bytes]:
        """Its exit code and what it prints."""
        spec = {"interactive": False} | ({"cluster": self._cluster} if self._cluster else {})
        info = {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec}
        try:
            process = await asyncio.create_subprocess_exec(
                *self.args,
                env=self.env | {"KUBERNETES_EXEC_INFO": json.dumps(info)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # so that what it starts ends with it
            )
        except OSError as error:
            raise PluginError(f"{self._name} cannot be run: {error.strerror}") from None
        try:
            async with asyncio.timeout(DEADLINE_S):
                out, _ = await process.communicate()
        except TimeoutError:
            raise PluginError(f"{self._name} gave no answer within {DEADLINE_S:g} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return process.returncode, out


def install() -> None:
    """Let kubeconfigs be read with our plugins."""
    kube_config.ExecProvider = Plugin  # type: ignore[attr-defined]
