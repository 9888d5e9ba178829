"""Bytes and secrets → the headers of Standard Webhooks, and what they verify with. Pure.

A file may hold several secrets, one a line, while they are exchanged: the body is signed with each.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"
KEY_MIN_BYTES: Final = 24


def keys_of(text: str) -> list[bytes]:
    """The keys of a secret's text.

    Raises:
        ValueError: one is not `whsec_` and base64 of at least 24 bytes. Its text does not hold the secret.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"expected {PREFIX} and base64, found an empty text")
    return [_key(line) for line in lines]


def headers(body: bytes, *, message_id: str, at_s: int, keys: list[bytes]) -> dict[str, str]:
    """The three headers; each key adds a signature of exactly these bytes."""
    signed = b"%b.%d.%b" % (message_id.encode(), at_s, body)
    found = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{each}" for each in found),
    }


def _key(line: str) -> bytes:
    if not line.startswith(PREFIX):
        raise ValueError(f"expected {PREFIX} and base64, found another beginning")
    try:
        key = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"expected base64 after {PREFIX}, found other characters") from None
    if len(key) < KEY_MIN_BYTES:
        raise ValueError(f"expected a key of at least {KEY_MIN_BYTES} bytes, found {len(key)}")
    return key
