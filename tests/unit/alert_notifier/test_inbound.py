"""Requests of Slack and PagerDuty: who signed them, and what they decide. The examples are the vendors' own."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from kgents_alert_notifier.inbound.decisions import BY_MAX, Decision, of_pagerduty, of_slack
from kgents_alert_notifier.inbound.inbound_config import InboundConfig
from kgents_alert_notifier.inbound.verification import is_from_pagerduty, is_from_slack
from kgents_shared.bus.config import LateSecret
from kgents_shared.contract.section import InvalidSectionError
from support.vendor_requests import (
    NOW,
    PAGERDUTY_BODY,
    PAGERDUTY_SECRET,
    PAGERDUTY_SIGNATURE,
    SLACK_AT,
    SLACK_BODY,
    SLACK_SECRET,
    SLACK_SIGNATURE,
    action,
    event,
    interaction,
    reference,
)


def slack_headers(signature: str = SLACK_SIGNATURE, at: str = str(SLACK_AT)) -> dict[str, str]:
    return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": signature}


def test_the_published_example_of_slack_is_genuine() -> None:
    assert is_from_slack(SLACK_BODY, slack_headers(), SLACK_SECRET, NOW)
    assert is_from_slack(SLACK_BODY, slack_headers(), f"newer\n{SLACK_SECRET}\n", NOW)


@pytest.mark.parametrize(
    ("body", "headers", "secrets", "later_s"),
    [
        (SLACK_BODY + b" ", slack_headers(), SLACK_SECRET, 0),
        (SLACK_BODY, slack_headers(SLACK_SIGNATURE.upper()), SLACK_SECRET, 0),
        (SLACK_BODY, slack_headers(SLACK_SIGNATURE.removeprefix("v0=")), SLACK_SECRET, 0),
        (SLACK_BODY, slack_headers(at=str(SLACK_AT + 1)), SLACK_SECRET, 0),
        (SLACK_BODY, slack_headers(), SLACK_SECRET, 301),
        (SLACK_BODY, slack_headers(), SLACK_SECRET, -301),
        (SLACK_BODY, slack_headers(), "another", 0),
        (SLACK_BODY, slack_headers(), "", 0),
        (SLACK_BODY, slack_headers(), "\n \n", 0),
        (SLACK_BODY, slack_headers(at="-5"), SLACK_SECRET, 0),
        (SLACK_BODY, slack_headers(at="1e9"), SLACK_SECRET, 0),
        (SLACK_BODY, slack_headers(at="٣"), SLACK_SECRET, 0),
        (SLACK_BODY, slack_headers(at="9" * 400), SLACK_SECRET, 0),
        (SLACK_BODY, slack_headers("v0=ü"), SLACK_SECRET, 0),
        (SLACK_BODY, {}, SLACK_SECRET, 0),
    ],
)
def test_anything_else_is_not(body: bytes, headers: dict[str, str], secrets: str, later_s: int) -> None:
    assert not is_from_slack(body, headers, secrets, NOW + timedelta(seconds=later_s))


def test_an_empty_secret_signs_nothing() -> None:
    signed = hmac.digest(b"", b"v0:%d:%b" % (SLACK_AT, SLACK_BODY), hashlib.sha256).hex()
    assert not is_from_slack(SLACK_BODY, slack_headers(f"v0={signed}"), "", NOW)
    by_nothing = f"v1={hmac.digest(b'', PAGERDUTY_BODY, hashlib.sha256).hex()}"
    assert not is_from_pagerduty(PAGERDUTY_BODY, {"X-PagerDuty-Signature": by_nothing}, "", NOW)


def test_the_published_example_of_pagerduty_is_genuine() -> None:
    other = "v1=7020c8a7ec668a9b7012bc3dd82e483394b038f4230acc6785efbf2a7d8bcaf5"
    for given in (PAGERDUTY_SIGNATURE, f"{other},{PAGERDUTY_SIGNATURE}", f"{PAGERDUTY_SIGNATURE}, {other}"):
        assert is_from_pagerduty(PAGERDUTY_BODY, {"X-PagerDuty-Signature": given}, PAGERDUTY_SECRET, NOW)
    assert is_from_pagerduty(
        PAGERDUTY_BODY, {"X-PagerDuty-Signature": PAGERDUTY_SIGNATURE}, f"newer\n{PAGERDUTY_SECRET}", NOW
    )
    for given in (other, "", PAGERDUTY_SIGNATURE.replace("v1=", "v2="), PAGERDUTY_SIGNATURE[:-1]):
        assert not is_from_pagerduty(PAGERDUTY_BODY, {"X-PagerDuty-Signature": given}, PAGERDUTY_SECRET, NOW)
    assert not is_from_pagerduty(
        PAGERDUTY_BODY + b"\n", {"X-PagerDuty-Signature": PAGERDUTY_SIGNATURE}, PAGERDUTY_SECRET, NOW
    )


# What is decided

AT = datetime(2021, 4, 26, 17, 36, 27, 458_000, UTC)


def test_a_click_is_a_decision_about_the_revision_that_was_shown() -> None:
    clicked = interaction(actions=[action("ack", "5c0ffee5a17c0de5@2", at=AT)])
    assert of_slack(clicked) == [Decision("ack", "5c0ffee5a17c0de5", "ada", "slack", revision=2, at=AT)]
    silence = interaction(actions=[action("silence", "5c0ffee5a17c0de5@7", at=AT)], user={"id": "U0CA5"})
    assert of_slack(silence) == [Decision("silence", "5c0ffee5a17c0de5", "U0CA5", "slack", revision=7, at=AT)]


@pytest.mark.parametrize("text", ["", "x", "-1", "1e9", "1.", "9" * 11, "٣"])
def test_a_click_without_a_time_that_can_be_read_is_of_now(text: str) -> None:
    [found] = of_slack(interaction(actions=[{**action("ack", "5c0ffee5a17c0de5@2"), "action_ts": text}]))
    assert found.at is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"payload=%7B",
        b"payload=[]",
        b"&" * 5_000,
        SLACK_BODY,
        interaction(type="view_submission"),
        interaction(actions=[action("ack", "../../x@1")]),
        interaction(actions=[action("ack", "5c0ffee5a17c0de5@-1")]),
        interaction(actions=[action("other", "5c0ffee5a17c0de5@1")]),
        interaction(actions="?"),
    ],
)
def test_what_is_no_click_of_ours_decides_nothing(body: bytes) -> None:
    assert of_slack(body) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (event("incident.acknowledged"), ("ack", "Tenex Engineer", "")),
        (event("incident.resolved"), ("ack", "Tenex Engineer", "resolved in PagerDuty")),
        (event("incident.unacknowledged"), ("unack", "Tenex Engineer", "")),
        (event("incident.unacknowledged", agent=None), ("unack", "PagerDuty", "")),
    ],
)
def test_what_a_person_does_at_pagerduty_is_a_decision(body: bytes, expected: tuple[str, str, str]) -> None:
    does, by, note = expected
    assert of_pagerduty(body) == [Decision(does, "5c0ffee5a17c0de5", by, "pagerduty", note=note, is_former=True, at=AT)]


def test_the_key_says_whether_it_was_critical_by_then() -> None:
    (found,) = of_pagerduty(event("incident.acknowledged", key="5c0ffee5a17c0de5-critical"))
    assert (found.incident, found.is_former) == ("5c0ffee5a17c0de5", False)


@pytest.mark.parametrize(
    "body",
    [
        PAGERDUTY_BODY,
        b"",
        b"{}",
        b"[1]",
        event("incident.triggered"),
        event("incident.acknowledged", agent=None),
        event("incident.resolved", agent=reference("services", "P1", "kgents", "service_reference")),
        event("incident.acknowledged", key="d3640fbd41094207a1c11e58e46b1662"),
        event("incident.acknowledged", key="digest-5c0ffee5a17c0de5"),
        event("incident.acknowledged", key="5c0ffee5a17c0de5-warning"),
        event("incident.acknowledged", key="*"),
        event("pagey.ping"),
    ],
)
def test_what_no_person_did_and_what_is_not_ours_decides_nothing(body: bytes) -> None:
    assert of_pagerduty(body) == []


def test_a_name_is_one_short_line_without_credentials() -> None:
    odd = reference("users", "P1", "Ada\n<!channel>" + "x" * 10_000, "user_reference")
    (found,) = of_pagerduty(event("incident.acknowledged", agent=odd))
    assert "\n" not in found.by
    assert len(found.by) <= BY_MAX


def test_a_port_needs_a_secret_and_a_secret_a_port() -> None:
    with pytest.raises(InvalidSectionError, match="slack_secret_file or pagerduty_secret_file"):
        InboundConfig(port=7790)
    with pytest.raises(InvalidSectionError, match="a port beside a secret"):
        InboundConfig(slack_secret=LateSecret("x"))
    assert not InboundConfig().has_buttons
    assert not InboundConfig(port=1, pagerduty_secret=LateSecret("x")).has_buttons
    assert InboundConfig(port=1, slack_secret=LateSecret("x")).has_buttons
