"""Login plugins of a kubeconfig (`exec`): their command → a token or a certificate, within a deadline.

kubernetes-asyncio runs them without one, leaves them running when its caller gives up, and waits for ever for one that
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

DEADLINE_S: Final = 30.0
"""It may ask somebody over the network; nobody is there to type."""


class Plugin(ExecProvider):
    """One plugin, as a kubeconfig describes it."""

    async def run(self, previous_response: str | None = None) -> Any:
        """Its `status`.

        Raises:
            ConfigException: it failed, or what it printed is no credential.
            TimeoutError: it took too long, and was ended.
        """
        info = {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        process = await asyncio.create_subprocess_exec(
            *self.args,
            env=self.env | {"KUBERNETES_EXEC_INFO": json.dumps(info)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # so that what it starts ends with it
        )
        try:
            async with asyncio.timeout(DEADLINE_S):
                out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode != 0:
            raise ConfigException(f"expected the exit code 0 of the login plugin, found {process.returncode}")
        found = json.loads(out)
        if not isinstance(found, dict) or found.get("apiVersion") != self.api_version or "status" not in found:
            raise ConfigException(f"expected an ExecCredential of {self.api_version} from the login plugin")
        return found["status"]


def install() -> None:
    """Let kubeconfigs be read with our plugins."""
    kube_config.ExecProvider = Plugin  # type: ignore[attr-defined]
