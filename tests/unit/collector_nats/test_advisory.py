from typing import Any

import msgspec
import pytest

from kgents_collector_nats.mapping.advisory import Advisory, event
from kgents_collector_nats.mapping.scope import Scope
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.event import Event
from support.nats_samples import AT, advisories

SCOPE = Scope("test", 5.0, AT, {})


def heard(body: dict[str, Any]) -> Event | None:
    return event(Advisory("$JS.EVENT.ADVISORY.TEST", msgspec.json.encode(body), "APP"), SCOPE)


def test_what_a_server_really_sends() -> None:
    found = [heard(each["body"]) for each in advisories()]
    assert [(each.reason, each.severity, str(each.ref)) for each in found if each is not None] == [
        ("StreamCreate", "info", "nats_stream APP/ORDERS"),
        ("MaxDeliver", "error", "nats_consumer APP/ORDERS/billing"),
        ("ConsumerPause", "info", "nats_consumer APP/ORDERS/billing"),
        ("StreamDelete", "info", "nats_stream APP/ORDERS"),
    ]


def test_an_event_keeps_the_advisorys_own_id_and_time() -> None:
    body = next(each["body"] for each in advisories() if "MAX_DELIVERIES" in each["subject"])
    found = heard(body)
    assert found is not None
    assert found.id == body["id"]
    assert found.type == "io.nats.jetstream.advisory.v1.max_deliver"
    assert found.text == "nats_consumer APP/ORDERS/billing gave up on message 2 after 1 deliveries."


@pytest.mark.parametrize(
    ("kind", "fields", "severity", "text"),
    [
        ("stream_quorum_lost", {}, "critical", "nats_stream APP/S has lost its quorum and takes no messages."),
        ("stream_leader_elected", {"leader": "n2"}, "info", "nats_stream APP/S is led by n2 now."),
        ("snapshot_create", {}, "info", "nats_stream APP/S: snapshot create."),
        ("of_the_future", {}, "info", "nats_stream APP/S: of the future."),
    ],
)
def test_severities_and_sentences(kind: str, fields: dict[str, str], severity: str, text: str) -> None:
    body = {
        "type": f"io.nats.jetstream.advisory.v1.{kind}", "id": "x", "timestamp": "2026-11-21T09:00:00Z", "stream": "S",
        **fields,
    }  # fmt: skip
    found = heard(body)
    assert found is not None
    assert (found.severity, found.text) == (severity, text)


def test_a_server_out_of_space() -> None:
    found = heard(
        {
            "type": "io.nats.jetstream.advisory.v1.server_out_of_space",
            "id": "x",
            "timestamp": "2026-11-21T09:00:00Z",
            "server": "n1",
        }
    )
    assert found is not None
    assert (str(found.ref), found.severity) == ("nats_server n1", "critical")


def test_what_is_no_advisory_is_malformed() -> None:
    with pytest.raises(MalformedMessageError, match=r"not a JetStream advisory on \$JS"):
        heard({"type": "x"})
