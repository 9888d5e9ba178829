"""What people decide about alerts, as it is stored."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kgents_shared.bus.client import Bus
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.codec import encode
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.silence import Matcher, Silence
from support.build import make_ref


def make_silence(id_: str, **fields: Any) -> Silence:
    """One that acts for an hour."""
    now = datetime.now(UTC)
    found = {
        "text": f"ada silences {id_}", "cluster": make_ref().cluster, "id": id_, "by": "ada", "reason": "an upgrade",
        "matchers": [Matcher(field="namespace", value="shop")], "starts_at": now, "ends_at": now + timedelta(hours=1),
    }  # fmt: skip
    return Silence(**{**found, **fields})


async def stored(bus: Bus, *messages: Incident | Notice | Silence | Acknowledgement) -> None:
    """Store messages, one after the other."""
    session = await bus.session(timeout_s=10)
    for message in messages:
        answer = await session.request(message.subject, encode(message))
        assert b"error" not in answer.data, answer.data
