"""The JetStream API has one speaker."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SPEAKERS = {"jetstream.py", "snapshot.py", "session.py", "requests.py"}
"""`jetstream` makes the requests, `snapshot` those for whole streams, `session` carries them, `requests`
knows the prefix of a domain."""
MODULES = sorted(
    path
    for source in ("shared/src", "services", "tools")
    for path in (ROOT / source).rglob("*.py")
    if path.parent.name != "bus" or path.name not in SPEAKERS
)
CALL = re.compile(r"\$JS\.(?:[^.\s]+\.)?API|\.api\(|\bapi_subject\(|\.jetstream\(|\.jsm\(")


@pytest.mark.parametrize(
    "line",
    [
        '"$JS.API.STREAM.INFO.X"',
        'f"$JS.{domain}.API.INFO"',
        "await session.api(name, None, dict)",
        "client.jetstream()",
        "session.api_subject(name)",
    ],
)
def test_a_call_is_recognised(line: str) -> None:
    assert CALL.search(line)


def test_no_other_module_speaks_to_the_api() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if CALL.search(line)
    ]
    assert not found, "expected requests to JetStream in bus/jetstream.py only"
