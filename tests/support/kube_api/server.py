"""The server around the cluster: a socket, TLS, a kubeconfig, and a network that a test can break."""

import base64
import json
import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme
from aiohttp import web

from support.kube_api.cluster import Cluster
from support.kube_api.faults import Faults
from support.kube_api.handler import Handler
from support.kube_api.wire import Network
from support.ports import free_port


class KubeApi(Cluster):
    """`async with KubeApi() as api`; clients use `api.url` or `api.kubeconfig(path)`.

    It runs on the event loop of the test; each write is visible to open watches at once.
    """

    def __init__(self, *, port: int = 0, is_tls: bool = False) -> None:
        super().__init__()
        self._network = Network()
        self._port = port or free_port()
        self._authority = trustme.CA() if is_tls else None
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._authority else 'http'}://127.0.0.1:{self._port}"

    @property
    def faults(self) -> Faults | None:
        """What happens to requests and streams from now on; streams that hang already go on hanging."""
        return self._network.faults

    @faults.setter
    def faults(self, faults: Faults | None) -> None:
        self._network.faults = faults

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", Handler(self, self._network).handle)
        # A client that goes away must end its watch, as it does on a real server.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await self.up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        self.flow()
        self.cut()
        await self._runner.cleanup()

    async def up(self) -> None:
        """Listen, again on the same port after `down`."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls())
        await self._site.start()

    async def down(self) -> None:
        """Reset every connection and refuse new ones."""
        assert self._site is not None
        await self._site.stop()
        self.cut()

    def cut(self) -> None:
        """Reset every connection on which something is being answered, and thereby every watch."""
        self._network.cut()

    def hang(self) -> None:
        """A black hole until `flow`: connections stay open and are accepted, but no byte is sent."""
        self._network.hang()

    def flow(self) -> None:
        self._network.flow()

    def kubeconfig(self, path: Path, *, with_certificate: bool = False) -> Path:
        """Write a kubeconfig with this server, its authority and its token; returns the path.

        With a client certificate it has no token: that needs `is_tls`.
        """
        cluster = {"server": self.url}
        if self._authority:
            cluster["certificate-authority-data"] = base64.b64encode(self._authority.cert_pem.bytes()).decode()
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "collector", "user": self._user(with_certificate=with_certificate)}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "collector"}}],
            "current-context": "test",
        }
        path.write_text(json.dumps(content, indent=2), encoding="utf-8")
        return path

    def _user(self, *, with_certificate: bool) -> dict[str, str]:
        if not with_certificate:
            return {"token": self.token}
        assert self._authority is not None
        issued = self._authority.issue_cert("collector", common_name="collector")
        key, certificate = issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes()
        return {
            "client-certificate-data": base64.b64encode(certificate).decode(),
            "client-key-data": base64.b64encode(key).decode(),
        }

    def _tls(self) -> ssl.SSLContext | None:
        if self._authority is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert("127.0.0.1").configure_cert(context)
        self._authority.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context
