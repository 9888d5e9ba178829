"""A real S3-compatible server on this machine (s3rver, a package of npm), with TLS.

It refuses keys that it does not know; signatures are compared with published ones in tests/unit/cli.
"""

from pathlib import Path
from typing import Final, Self

from kgents_cli.object_storage import Place, Storage
from kgents_shared.bus.config import Secret
from kgents_shared.runtime.sections import BackupConfig
from support.certificates import Certificates
from support.ports import free_port
from support.process import OwnProcess, accepts, spawn, until_ready
from support.programs import need

BUCKET: Final = "backups"
KEY: Final = "S3RVER"
"""Both the id and the secret of the one key that it knows."""


class S3Server(OwnProcess):
    """`async with S3Server(tmp_path) as storage`: one empty bucket."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._port = folder, free_port()
        self._certificates = Certificates(folder)
        (folder / "key").write_text(f"{KEY}\n")

    @property
    def environ(self) -> dict[str, str]:
        """The settings of a client."""
        return {
            "KGENTS__BACKUP__S3_ENDPOINT": f"https://127.0.0.1:{self._port}",
            "KGENTS__BACKUP__S3_ACCESS_KEY_FILE": str(self._folder / "key"),
            "KGENTS__BACKUP__S3_SECRET_KEY_FILE": str(self._folder / "key"),
            "KGENTS__BACKUP__S3_CA_FILE": str(self._certificates.ca),
        }

    def file_of(self, key: str) -> Path:
        """Where it keeps an object."""
        return self._folder / "data" / BUCKET / f"{key}._S3rver_object"

    def storage(self, prefix: str) -> Storage:
        """A client in this process."""
        key, ca = Secret(KEY), self.environ["KGENTS__BACKUP__S3_CA_FILE"]
        endpoint = self.environ["KGENTS__BACKUP__S3_ENDPOINT"]
        config = BackupConfig(s3_endpoint=endpoint, s3_access_key=key, s3_secret_key=key, s3_ca_file=ca)
        return Storage(Place(BUCKET, prefix), config)

    def refused(self, asked: str) -> int:
        """How many requests with this in their address it refused: it does not know how to abort an upload."""
        log = (self._folder / "s3.log").read_text(encoding="utf-8")
        return sum(asked in line and " 405 " in line for line in log.splitlines())

    async def __aenter__(self) -> Self:
        certificates = ("--key", self._certificates.server_key, "--cert", self._certificates.server)
        place = ("-d", self._folder / "data", "-a", "127.0.0.1", "-p", self._port, "--configure-bucket", BUCKET)
        log = self._folder / "s3.log"
        with log.open("wb") as out:
            command = [need("node"), need("s3rver"), *place, *certificates]
            self._process = spawn([str(word) for word in command], stdout=out, stderr=out)
        await until_ready(self._process, lambda: accepts(self._port), log)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
