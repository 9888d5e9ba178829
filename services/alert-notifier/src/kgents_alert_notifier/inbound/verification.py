"""A request and the secrets → whether Slack or PagerDuty signed it. Pure.

The bytes are verified as they came, before anything reads them, and compared in constant time. A secret's text may hold
several, one a line, while they are exchanged.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

SLACK_WINDOW_S: Final = 300
"""How far Slack's time of a request may be from ours: what is older may be a repetition by someone else."""
SIGNATURES_MAX: Final = 10
"""PagerDuty sends one for each secret that it exchanges."""


def is_from_slack(body: bytes, headers: Mapping[str, str], secrets: str, now: datetime) -> bool:
    """Whether `X-Slack-Signature` is one of these bytes and of a time within the window (signing secrets, v0)."""
    stamp, given = headers.get("X-Slack-Request-Timestamp", ""), headers.get("X-Slack-Signature", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return False
    if abs(now.timestamp() - int(stamp)) > SLACK_WINDOW_S:
        return False
    return _is_any([given], _keys(secrets), b"v0:%b:%b" % (stamp.encode(), body), "v0=")


def is_from_pagerduty(body: bytes, headers: Mapping[str, str], secrets: str, _now: datetime) -> bool:
    """Whether any signature in `X-PagerDuty-Signature` is one of these bytes (webhooks v3)."""
    given = [each.strip() for each in headers.get("X-PagerDuty-Signature", "").split(",", SIGNATURES_MAX)]
    return _is_any(given[:SIGNATURES_MAX], _keys(secrets), body, "v1=")


def _keys(text: str) -> list[bytes]:
    """None of them is empty: everyone could sign with that."""
    return [line.strip().encode() for line in text.splitlines() if line.strip()]


def _is_any(given: Iterable[str], keys: Iterable[bytes], signed: bytes, version: str) -> bool:
    expected = [f"{version}{hmac.digest(key, signed, hashlib.sha256).hex()}".encode() for key in keys]
    found = [each.encode() for each in given]
    return any([hmac.compare_digest(one, other) for one in expected for other in found])  # noqa: C419 - all of them
