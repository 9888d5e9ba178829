"""Login plugins of a kubeconfig (`exec`): their command → a token or a certificate, within a deadline.

kubernetes-asyncio runs them without a deadline, leaves them running when its caller is cancelled, and waits forever for
one that writes much to stderr. It finds its provider by name at login, so ours is put under that name.
"""

import asyncio
import json
import os
import signal
from contextlib import suppress
from typing import Any, Final

from kgents_shared.bus.deadline import Deadline
from kgents_shared.kubernetes.library import ConfigException, ConfigNode, ExecProvider, kube_config

DEADLINE_S: Final = 30.0
"""Seconds: a plugin may call a provider over the network; it cannot wait for input."""


CLUSTER: Final = "cluster"
"""The key in a plugin's description with what it may know about the cluster: our own addition."""


class PluginError(ConfigException):
    """A plugin failed. The text is ours: the plugin's output may hold a token."""


class Plugin(ExecProvider):
    """One plugin, as a kubeconfig describes it."""

    def __init__(self, exec_config: ConfigNode) -> None:
        super().__init__(exec_config)
        self._cluster = exec_config.safe_get(CLUSTER)
        self._name = f"the login plugin {self.args[0]}"

    async def run(self, previous_response: str | None = None) -> Any:
        """Its `status`.

        Raises:
            PluginError: it failed or took too long, or did not print a credential.
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
        """Its exit code and its output."""
        spec = {"interactive": False} | ({"cluster": self._cluster} if self._cluster else {})
        info = {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec}
        try:
            process = await asyncio.create_subprocess_exec(
                *self.args,
                env=self.env | {"KUBERNETES_EXEC_INFO": json.dumps(info)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # so that its child processes end with it
            )
        except OSError as error:
            raise PluginError(f"{self._name} cannot be run: {error.strerror}") from None
        try:
            async with Deadline(DEADLINE_S):
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
    """Make kubernetes-asyncio run plugins through this module."""
    kube_config.ExecProvider = Plugin  # type: ignore[attr-defined]
