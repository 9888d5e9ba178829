"""Credentials and certificates: NatsConfig → options of the client, read again for each connection.

And the errors of a connection that fails: what was expected, what was found, what to try.
"""

import base64
import errno
import re
import ssl
from pathlib import Path
from typing import Any, Final

import msgspec
import nats.errors

from kgents_shared.bus.config import NatsConfig, TlsConfig
from kgents_shared.bus.session import SessionLostError
from kgents_shared.bus.wire import Wire
from kgents_shared.contract.errors import BusError

CUT_OFF: Final = (nats.errors.UnexpectedEOF, ConnectionError, SessionLostError)
"""What nats-py raises when the server closes, whatever the server's reason is."""

_LOGIN_ADVICE: Final = "try: check the credentials in `nats`, and the server's log"
_GREETING_ADVICE: Final = "try: nats.tls.handshake_first if this server begins with TLS, and check the port"
_NO_INFO: Final = "expecting INFO message"
"""What nats-py says of a server that sends another first line, or closes before any."""
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")
_JWT: Final = re.compile(r"BEGIN NATS USER JWT-+\s+[\w-]+\.([\w-]+)\.")
"""The claims of a user JWT in a `.creds` file."""


class _Claims(msgspec.Struct):
    sub: str


def credentials(config: NatsConfig) -> dict[str, Any]:
    """Credentials, read again for each connection so that rotated files take effect."""
    options: dict[str, Any] = {}
    if config.credentials_file is not None:
        options["user_credentials"] = _checked_creds(config.credentials_file)
    if config.nkey_seed is not None:
        options["nkeys_seed_str"] = config.nkey_seed.reveal()
    if config.user is not None:
        options["user"] = config.user
    if config.password is not None:
        options["password"] = config.password.reveal()
    if config.token is not None:
        options["token"] = config.token.reveal()
    if config.tls is not None:
        options["tls"] = _tls_context(config.tls)
        options["tls_handshake_first"] = config.tls.handshake_first
    return options


def login_name(config: NatsConfig) -> str:
    """What names our login to the server and to whom gives it permissions: the user, or the public key; read again.

    Empty: there is none, or only the server knows it.
    """
    if config.user is not None:
        return config.user
    if config.nkey_seed is not None:
        import nkeys  # type: ignore[import-untyped]  # noqa: PLC0415 - for those who have one

        public: bytes = nkeys.from_seed(config.nkey_seed.reveal().strip().encode()).public_key
        return public.decode()
    return _subject_of(config.credentials_file) if config.credentials_file is not None else ""


def _subject_of(file: str) -> str:
    """The public key that a user JWT is for."""
    try:
        claims = _JWT.search(Path(_checked_creds(file)).read_text(encoding="utf-8", errors="replace"))
        padded = claims[1] + "=" * (-len(claims[1]) % 4) if claims else ""
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Claims).sub
    except (ValueError, OSError, msgspec.DecodeError) as error:
        raise BusError(f"expected a user JWT in {file}, found another content; try: `nsc generate creds`") from error


def _checked_creds(file: str) -> str:
    """The file, if it is complete; nats-py hangs or fails obscurely on one that is half written."""
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        found = (error.strerror or "an error").lower()
        raise BusError(f"expected a credentials file at {file}, found: {found}; try: check its path") from error
    if "BEGIN NATS USER JWT" not in text or "END USER NKEY SEED" not in text:
        raise BusError(
            f"expected a whole user JWT and seed in {file}, found only a part; try: `nsc generate creds` again"
        )
    return file


def _tls_context(tls: TlsConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:  # OpenSSL names no file
        files = ", ".join(file for file in (tls.ca_file, tls.cert_file, tls.key_file) if file)
        raise BusError(f"expected usable TLS files, found {files}: {error}; try: check each of them") from error
    return context


def login_error(error: Exception, config: NatsConfig, wire: Wire, within_s: float) -> Exception:
    """The error of `Wire.connect`, which had so many seconds, as a BusError that names the cause.

    A server that rejects a login closes at once, maybe before it says why: the reset may outrun its reason.
    """
    if isinstance(error, TimeoutError):
        return BusError(_silence(wire, within_s))
    if _NO_INFO in str(error):
        return BusError(f"expected the first line of a NATS server, found another or none; {_GREETING_ADVICE}")
    refusal = wire.unread_refusal if isinstance(error, CUT_OFF) else ""
    if "authorization violation" in (refusal or str(error)).lower():
        return BusError(_rejection(config))
    if refusal:
        return BusError(f"the server refused the connection: {refusal}")
    if isinstance(error, CUT_OFF) and not isinstance(error, ConnectionRefusedError):
        return BusError(f"the server ended the connection while we logged in: {words_of(error)}; {_LOGIN_ADVICE}")
    return error


def _silence(wire: Wire, within_s: float) -> str:
    within = f"within {within_s:g} s"
    if not wire.is_accepted:
        return f"no answer {within}"
    if wire.is_greeted:
        return f"expected to be logged in {within}, found a server that stopped answering"
    return f"expected the first line of a NATS server {within}, found a connection without any; {_GREETING_ADVICE}"


def _rejection(config: NatsConfig) -> str:
    """The sentence on a login that the server rejects: which credentials it got, and what to try."""
    given = {
        "nats.credentials_file": config.credentials_file,
        "nats.nkey_seed": config.nkey_seed,
        "nats.user and nats.password": config.user,
        "nats.token": config.token,
    }
    if names := [name for name, value in given.items() if value is not None]:
        return f"the server rejected the login (authorization violation); try: check {names[0]}"
    return "the server demands a login (authorization violation), found none; try: nats.user and nats.password"


def words_of(error: Exception | None) -> str:
    """What an error says, or at least what it is; of errors that may quote a credential, only that."""
    if error is None:
        return "closed by the server"
    error = getattr(error, "certificate_error", error)  # aiohttp wraps it, on ws://
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not valid for us: certificate verify failed: {error.verify_message}; "
            "try: nats.tls.ca_file with the authority that signed it, and the server name that it was issued for"
        )
    if isinstance(error, OSError) and nothing_listens(error):
        return f"no program listens there ({error})"
    if isinstance(error, ssl.SSLError):
        return f"expected a TLS handshake, found: {error}; try: check that this server speaks TLS, and nats.tls"
    is_known = isinstance(error, nats.errors.Error | OSError | TimeoutError | BusError)
    return (str(error) if is_known else "") or f"{type(error).__name__}: check the credentials and TLS files"


def nothing_listens(error: Exception) -> bool:
    """Whether an error says that no program listens at the address.

    A host with several addresses, as `localhost` mostly is, gives one error whose text holds that of each address.
    """
    numbers = set(_ERRNO.findall(str(error))) or {str(getattr(error, "errno", ""))}
    return isinstance(error, OSError) and numbers == {str(errno.ECONNREFUSED)}
