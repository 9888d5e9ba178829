"""`PYTHONPATH=tests KGENTS_KUBE_BIN=FOLDER .venv/bin/python -m support.kube_servers`: a real control plane.

etcd, kube-apiserver and, where the folder has it, kube-controller-manager, from binaries that the folder holds, such as
those of an archive of envtest. No kubelet: pods stay pending. It prints the `export KUBECONFIG=…` that makes the tests
use it, and runs until it is interrupted. All its files are in a folder of its own, which goes with it.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, Self

import aiohttp
import trustme
import yaml

from support.ports import free_port
from support.process import spawn, until_ready

BINARIES: Final = "KGENTS_KUBE_BIN"
STARTS_WITHIN_S: Final = 60
COMPACTED_EVERY: Final = "20s"
"""So that old versions are gone soon, as the tests of them need; a server does it every five minutes."""


class KubeServers:
    """`async with KubeServers(binaries, directory) as servers`: `servers.kubeconfig` is that of an administrator."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self.kubeconfig = directory / "kubeconfig"
        self._binaries = binaries
        self._directory = directory
        self._authority = trustme.CA()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._token = secrets.token_hex()
        self._url = f"https://127.0.0.1:{free_port()}"

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            self._kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._kill()

    def _kill(self) -> None:
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.wait()

    async def _start(self) -> None:
        self._write_certificates()
        self._write_kubeconfig()
        etcd = f"http://127.0.0.1:{free_port()}"
        await self._run("etcd", self._etcd_flags(etcd), f"{etcd}/health")
        await self._run("kube-apiserver", self._server_flags(etcd), f"{self._url}/readyz")
        if (self._binaries / "kube-controller-manager").exists():
            port = free_port()
            await self._run(
                "kube-controller-manager", self._controller_flags(port), f"https://127.0.0.1:{port}/healthz"
            )

    def _write_certificates(self) -> None:
        self._authority.cert_pem.write_to_path(self._directory / "ca.crt")
        for name, organization, hosts in (
            ("server", "kgents tests", ("127.0.0.1", "localhost", "kubernetes.default.svc")),
            ("front-proxy", "kgents tests", ("front-proxy@kgents.test",)),
        ):
            issued = self._authority.issue_cert(*hosts, common_name=name, organization_name=organization)
            issued.cert_chain_pems[0].write_to_path(self._directory / f"{name}.crt")
            issued.private_key_pem.write_to_path(self._directory / f"{name}.key")
        (self._directory / "tokens").write_text(f"{self._token},admin,admin,system:masters\n")

    def _write_kubeconfig(self) -> None:
        """Files are named in full, so that it can be copied."""
        cluster = {"server": self._url, "certificate-authority": str(self._directory / "ca.crt")}
        context = {"cluster": "kgents-tests", "user": "admin"}
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "kgents-tests", "cluster": cluster}],
                    "users": [{"name": "admin", "user": {"token": self._token}}],
                    "contexts": [{"name": "kgents-tests", "context": context}],
                    "current-context": "kgents-tests",
                }
            )
        )

    def _etcd_flags(self, url: str) -> dict[str, object]:
        peers = f"http://127.0.0.1:{free_port()}"
        return {
            "data-dir": self._directory / "etcd", "listen-client-urls": url, "advertise-client-urls": url,
            "listen-peer-urls": peers, "initial-advertise-peer-urls": peers, "initial-cluster": f"default={peers}",
            "unsafe-no-fsync": "true",
        }  # fmt: skip

    def _server_flags(self, etcd: str) -> dict[str, object]:
        folder = self._directory
        return {
            "etcd-servers": etcd, "etcd-compaction-interval": COMPACTED_EVERY,
            "bind-address": "127.0.0.1", "secure-port": self._url.rpartition(":")[2], "cert-dir": folder / "made",
            "tls-cert-file": folder / "server.crt", "tls-private-key-file": folder / "server.key",
            "token-auth-file": folder / "tokens", "authorization-mode": "RBAC", "allow-privileged": "true",
            "service-cluster-ip-range": "10.96.0.0/16", "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": folder / "server.key",
            "service-account-signing-key-file": folder / "server.key",
            "requestheader-client-ca-file": folder / "ca.crt", "requestheader-allowed-names": "front-proxy",
            "requestheader-username-headers": "X-Remote-User", "requestheader-group-headers": "X-Remote-Group",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "proxy-client-cert-file": folder / "front-proxy.crt", "proxy-client-key-file": folder / "front-proxy.key",
        }  # fmt: skip

    def _controller_flags(self, port: int) -> dict[str, object]:
        return {
            "kubeconfig": self.kubeconfig, "leader-elect": "false", "use-service-account-credentials": "true",
            "service-account-private-key-file": self._directory / "server.key",
            "root-ca-file": self._directory / "ca.crt", "cert-dir": self._directory / "made",
            "bind-address": "127.0.0.1", "secure-port": port,
        }  # fmt: skip

    async def _run(self, program: str, flags: dict[str, object], sign: str) -> None:
        """Start one, and wait until it answers that it serves."""
        log = self._directory / f"{program}.log"
        with log.open("wb") as file:
            command: list[str | Path] = [
                self._binaries / program,
                *(f"--{name}={value}" for name, value in flags.items()),
            ]
            process = spawn(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
        self._processes.append(process)
        await until_ready(process, lambda: _is_well(sign), log, STARTS_WITHIN_S)


async def _is_well(url: str) -> bool:
    """The certificate is not looked at: controllers make themselves one."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url, ssl=False) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def serve(binaries: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="kgents-kube-") as directory:
        async with KubeServers(binaries, Path(directory)) as servers:
            print(f"export KUBECONFIG={servers.kubeconfig}", flush=True)
            over = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, over.set)
            await over.wait()


def main() -> None:
    folder = os.environ.get(BINARIES)
    if not folder or not (Path(folder) / "kube-apiserver").exists():
        sys.exit(f"expected in {BINARIES} a folder with etcd and kube-apiserver, found {folder or 'nothing'}")
    asyncio.run(serve(Path(folder)))


if __name__ == "__main__":
    main()
