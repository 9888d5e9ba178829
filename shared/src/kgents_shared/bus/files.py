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
        if (self.cert_file is None) == (self.key_file is None):
            return
        given, missing = ("cert_file", "key_file") if self.key_file is None else ("key_file", "cert_file")
        yield Fault(given, "cert_file and key_file together", f"only {given}", f"set {missing} too", beside=(missing,))

    def check(self) -> Iterator[Fault]:
        yield from authorities(self.ca_file)
        unusable = [
            *unreadable("cert_file", self.cert_file, "a certificate in PEM"),
            *unreadable("key_file", self.key_file, "a key in PEM"),
        ]
        yield from unusable
        if self.cert_file is None or self.key_file is None or unusable:
            return
        try:  # without a password it would ask the terminal for one
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(self.cert_file, self.key_file, password="")
        except (ssl.SSLError, OSError) as error:
            yield Fault(
                "cert_file",
                "a certificate and its key in PEM, the key without a passphrase",
                _words(error),
                "check that both are of one pair",
                beside=("key_file",),
            )


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
