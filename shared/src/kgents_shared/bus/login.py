"""What proves who we are, and who the server is: NatsConfig → options of the client, read anew for each connection.

And what a server says to whom it does not let in.
"""

import re
import ssl
from pathlib import Path
from typing import Any, Final

import nats.errors
from nats.aio.client import Client

from kgents_shared.bus.config import NatsConfig, TlsConfig
from kgents_shared.contract.errors import BusError

_REFUSAL: Final = re.compile(rb"^-ERR '([^']*)'", re.MULTILINE)


def credentials(config: NatsConfig) -> dict[str, Any]:
    """What proves who we are, read anew for each connection so that rotated files are taken up."""
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


def _checked_creds(file: str) -> str:
    """The file, if it looks like one; nats-py hangs or stumbles over one that is half written."""
    text = Path(file).read_text(encoding="utf-8", errors="replace")
    if "BEGIN NATS USER JWT" not in text or "END USER NKEY SEED" not in text:
        raise BusError(
            f"{file}: expected a user JWT and a seed, as `nsc generate creds` writes them, found neither whole"
        )
    return file


def _tls_context(tls: TlsConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:  # OpenSSL names no file
        files = ", ".join(file for file in (tls.ca_file, tls.cert_file, tls.key_file) if file)
        raise BusError(f"cannot use the TLS files {files}: {error}") from error
    return context


def unread_refusal(client: Client) -> str:
    """Why a server turned us away at the door; mostly nothing.

    A server that is full says so and closes at once, and one that dislikes our certificate sends an alert when we
    think ourselves admitted. nats-py then fails to send its own next line, ends with "broken pipe" or "connection
    lost", and leaves the reason unread where only private names lead to.
    """
    reader = getattr(client._transport, "_io_reader", None)  # noqa: SLF001 - as said above
    if reader is None:
        return ""
    if refusal := _REFUSAL.search(bytes(getattr(reader, "_buffer", b""))):
        return refusal[1].decode(errors="replace")
    return words_of(reader.exception()) if isinstance(reader.exception(), ssl.SSLError) else ""


def words_of(error: BaseException | None) -> str:
    """What an error says, or at least what it is; of errors that may quote a credential, only that."""
    if error is None:
        return "closed by the server"
    is_known = isinstance(error, nats.errors.Error | OSError | TimeoutError | BusError)
    return (str(error) if is_known else "") or f"{type(error).__name__}: check the credentials and TLS files"
