"""Files that a configuration names: whether each can be read, and holds what it should. No content is ever quoted."""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

from kgents_shared.contract.section import Fault, Section


def unreadable(at: str, path: str | None, holding: str) -> Iterator[Fault]:
    """Yield why a file cannot be read, if it cannot.

    Args:
        at: the setting that names it.
        path: where it is; None: nothing is named.
        holding: what it should hold, for the text.
    """
    if path is None:
        return
    try:
        with Path(path).open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        found, advice = f"{path}: {_words(error)}", "check the path, its mount and its permissions"
    except ValueError:  # a NUL byte
        found, advice = "a path that no file can have", "try: an absolute path"
    else:
        if not is_empty:
            return
        found, advice = f"{path}: an empty file", "check what writes it"
    yield Fault(at, f"a readable file with {holding}", found, advice)


class TlsFiles(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The certificates of a client. The server's own certificate is always verified."""

    ca_file: str | None = None
    """PEM file of the authorities to trust. null: those of the operating system."""

    cert_file: str | None = None
    """PEM file of our own certificate, for servers that verify clients. null: we show none."""

    key_file: str | None = None
    """PEM file of the key of `cert_file`; the two are given together or not at all."""

    def faults(self) -> Iterator[Fault]:
        yield from half_of_a_pair(self.cert_file, self.key_file)

    def check(self) -> Iterator[Fault]:
        yield from authorities(self.ca_file)
        yield from unusable_pair(self.cert_file, self.key_file)


def half_of_a_pair(cert_file: str | None, key_file: str | None, prefix: str = "") -> Iterator[Fault]:
    """Yield the fault of a certificate without a key, or of a key without a certificate.

    Args:
        cert_file: the setting `<prefix>cert_file`.
        key_file: the setting `<prefix>key_file`.
        prefix: of the names of both.
    """
    if (cert_file is None) == (key_file is None):
        return
    cert, key = f"{prefix}cert_file", f"{prefix}key_file"
    given, missing = (cert, key) if key_file is None else (key, cert)
    yield Fault(given, f"{cert} and {key} together", f"only {given}", f"set {missing} too", beside=(missing,))


def unusable_pair(cert_file: str | None, key_file: str | None, prefix: str = "") -> Iterator[Fault]:
    """Yield what is wrong with the PEM files of a certificate and its key."""
    cert, key = f"{prefix}cert_file", f"{prefix}key_file"
    unusable = [*unreadable(cert, cert_file, "a certificate in PEM"), *unreadable(key, key_file, "a key in PEM")]
    yield from unusable
    if cert_file is None or key_file is None or unusable:
        return
    try:  # without a password it would ask the terminal for one
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert_file, key_file, password="")
    except (ssl.SSLError, OSError) as error:
        expected = "a certificate and its key in PEM, the key without a passphrase"
        yield Fault(cert, expected, _words(error), "check that both are of one pair", beside=(key,))


def authorities(path: str | None, at: str = "ca_file") -> Iterator[Fault]:
    """Yield what is wrong with a PEM file of authorities."""
    if unusable := list(unreadable(at, path, "certificates in PEM")):
        yield from unusable
        return
    if path is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError) as error:
        yield Fault(at, "certificates in PEM", f"{path}: {_words(error)}", "check what the file holds")


def _words(error: OSError) -> str:
    """What is wrong with a file; never what is in it."""
    if isinstance(error, ssl.SSLError):  # its number is none of the operating system's
        return (error.reason or "no PEM").lower().replace("_", " ")
    return os.strerror(error.errno) if error.errno else "an unreadable file"
