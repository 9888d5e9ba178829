"""Files in an S3-compatible storage: requests signed with the keys of the configuration (AWS Signature Version 4).

Objects are addressed by path, `ENDPOINT/BUCKET/KEY`, which every such storage understands. Large ones are sent in
parts, since one request takes at most 5 GiB. No more than a chunk of a file is in memory.
"""

import hashlib
import hmac
import http.client
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape, unescape

import msgspec

from kgents_shared.contract.errors import KgentsError
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.runtime.sections import BackupConfig

SCHEME: Final = "s3://"
TIMEOUT_S: Final = 60.0
"""For each read and write of a connection, not for a whole file."""
PART_BYTES: Final = 256 * 1024**2
"""What is larger is sent in parts; S3 takes 5 MiB to 5 GiB in one."""
PARTS_MAX: Final = 10_000
"""Of one object; of one above 2.5 TiB parts are larger."""
READ_BYTES: Final = 1024**2
FAULT_BYTES: Final = 4096
"""Of what a storage says is wrong."""
NOTHING: Final = hashlib.sha256().hexdigest()
"""The digest of a request without a body."""


class Place(msgspec.Struct, frozen=True):
    """A folder in a bucket."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}"


def place_of(text: str) -> Place:
    """`s3://BUCKET/PREFIX`.

    Raises:
        ValueError: it has no bucket, or no prefix; the text says what was expected.
    """
    bucket, _, prefix = text.removeprefix(SCHEME).partition("/")
    if not bucket or not prefix.strip("/"):
        raise ValueError(f"expected {SCHEME}BUCKET/PREFIX, found {text}; try: {SCHEME}backups/kgents/2026-11-29")
    return Place(bucket, prefix.strip("/"))


class Storage:
    """One folder in a bucket; every call blocks.

    Every method raises KgentsError where the storage refuses, or is not reached; the text names the object.
    """

    def __init__(self, place: Place, config: BackupConfig) -> None:
        """Raises KgentsError: no endpoint, or no keys, are configured."""
        self.place = place
        if not config.s3_endpoint or config.s3_access_key is None or config.s3_secret_key is None:
            raise KgentsError(
                "expected backup.s3_endpoint, s3_access_key and s3_secret_key in the settings, found some missing; "
                "try: KGENTS__BACKUP__S3_ENDPOINT, KGENTS__BACKUP__S3_ACCESS_KEY_FILE and "
                "KGENTS__BACKUP__S3_SECRET_KEY_FILE"
            )
        self._url = urlsplit(config.s3_endpoint)
        self._region = config.s3_region
        self._access_key, self._secret_key = config.s3_access_key, config.s3_secret_key
        self._tls = ssl.create_default_context(cafile=config.s3_ca_file) if self._url.scheme == "https" else None

    def has(self, name: str) -> bool:
        """Whether there is such an object."""
        with self._request("HEAD", name, may_miss=True) as answer:
            return answer.status == http.HTTPStatus.OK

    def put(self, name: str, path: Path, sha256: str) -> None:
        """Store a file; the storage compares it, or each of its parts, with its digest."""
        size = path.stat().st_size
        with path.open("rb") as file:
            if size > PART_BYTES:
                self._put_in_parts(name, file, size)
            else:
                self._request("PUT", name, body=_chunks(file, size), size=size, sha256=sha256).close()

    def _put_in_parts(self, name: str, file: IO[bytes], size: int) -> None:
        """What fails is ended: a storage keeps, and bills, the parts of what is not."""
        upload = self._said(self._request("POST", name, query={"uploads": ""}), name, "UploadId")
        try:
            tags = [
                self._put_part(name, upload, number, file, part) for number, part in enumerate(parts_of(size), start=1)
            ]
            body = _listed(tags).encode()
            answer = self._request(
                "POST", name, query={"uploadId": upload}, body=[body], size=len(body),
                sha256=hashlib.sha256(body).hexdigest(),
            )  # fmt: skip
            self._said(answer, name, "ETag")  # it may fail after it has answered 200
        except BaseException:
            with suppress(KgentsError):
                self._request("DELETE", name, query={"uploadId": upload}).close()
            raise

    def _put_part(self, name: str, upload: str, number: int, file: IO[bytes], part: range) -> str:
        """Send a part of a file; returns what the storage calls it."""
        file.seek(part.start)
        digest, size = hashlib.sha256(), 0
        for chunk in _chunks(file, len(part)):
            digest.update(chunk)
            size += len(chunk)
        if size != len(part):
            raise KgentsError(f"{name}: expected {part.stop} bytes, found {part.start + size}; it became shorter")
        file.seek(part.start)
        query = {"partNumber": str(number), "uploadId": upload}
        body = _chunks(file, len(part))
        with self._request("PUT", name, query=query, body=body, size=len(part), sha256=digest.hexdigest()) as answer:
            return answer.headers.get("ETag", "")

    def _said(self, answer: http.client.HTTPResponse, name: str, element: str) -> str:
        """An element of an answer."""
        with answer:
            said = answer.read(FAULT_BYTES).decode(errors="replace")
        if not (found := _element(said, element)):
            raise KgentsError(f"{self.place}/{name}: the storage answers without {element}: {_code_of(said)}")
        return found

    def get(self, name: str, path: Path) -> None:
        """Fetch an object into a file."""
        try:
            with self._request("GET", name) as answer, path.open("wb") as file:
                while chunk := answer.read(READ_BYTES):
                    file.write(chunk)
        except (OSError, http.client.HTTPException) as error:
            raise KgentsError(f"{self.place}/{name}: cannot be fetched: {error}") from error

    def _request(
        self, method: str, name: str, *, query: Mapping[str, str] | None = None, body: Iterable[bytes] | None = None,
        size: int = 0, sha256: str = NOTHING, may_miss: bool = False,
    ) -> http.client.HTTPResponse:  # fmt: skip
        path = quote("/".join((self._url.path.rstrip("/"), self.place.bucket, self.place.prefix, name)))
        asked = query_of(query or {})
        headers = {"host": self._url.netloc, "x-amz-content-sha256": sha256}
        headers |= signed(
            method, path, asked, headers, self._region, self._access_key.reveal(), self._secret_key.reveal(),
            SystemClock().now(),
        )  # fmt: skip
        headers |= {"connection": "close", "content-length": str(size)}
        try:
            connection = self._connection()
            connection.request(method, f"{path}?{asked}" if asked else path, body, headers)
            answer = connection.getresponse()
            if answer.status < http.HTTPStatus.MULTIPLE_CHOICES or (
                may_miss and answer.status == http.HTTPStatus.NOT_FOUND
            ):
                return answer
            said = answer.read(FAULT_BYTES).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise KgentsError(f"{self._url.netloc} is not reached: {error}; check backup.s3_endpoint") from error
        raise KgentsError(f"{self.place}/{name}: the storage answers {answer.status} {answer.reason}: {_code_of(said)}")

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=self._tls)


def parts_of(size: int) -> Iterator[range]:
    """Where the parts of a file of so many bytes are. Pure."""
    part = max(PART_BYTES, -(-size // PARTS_MAX))
    return (range(begin, min(begin + part, size)) for begin in range(0, size, part))


def query_of(asked: Mapping[str, str]) -> str:
    """A query as it is signed: in the order of its names. Pure."""
    return "&".join(f"{quote(name, safe='')}={quote(asked[name], safe='')}" for name in sorted(asked))


def signed(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    region: str,
    access_key: str,
    secret_key: str,
    now: datetime,
) -> dict[str, str]:
    """The headers that sign a request, by AWS Signature Version 4. Pure.

    `headers` have lower-case names, among them `host` and `x-amz-content-sha256`; `now` is in UTC.
    """
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    given = {**headers, "x-amz-date": stamp}
    names = ";".join(sorted(given))
    lines = "".join(f"{name}:{given[name].strip()}\n" for name in sorted(given))
    request = "\n".join((method, path, query, lines, names, given["x-amz-content-sha256"]))
    scope = f"{now:%Y%m%d}/{region}/s3/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {"x-amz-date": stamp, "authorization": f"AWS4-HMAC-SHA256 {credential}"}


def _code_of(text: str) -> str:
    """What a storage says is wrong, of its XML."""
    return _element(text, "Code") or "no reason given"


def _element(text: str, name: str) -> str:
    """The content of an element of XML; empty: there is none."""
    return unescape(text.partition(f"<{name}>")[2].partition(f"</{name}>")[0], {"&quot;": '"'})


def _listed(tags: Iterable[str]) -> str:
    """The parts of an object, in their order."""
    parts = (
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>"
        for number, tag in enumerate(tags, start=1)
    )
    return f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>"


def _chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The next bytes of a file, so many."""
    while size and (chunk := file.read(min(READ_BYTES, size))):
        size -= len(chunk)
        yield chunk
