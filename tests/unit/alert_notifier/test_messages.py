"""What each form says, as golden files. Run as a program, this writes them: read the difference."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from msgspec import structs

from kgents_alert_notifier.message import alertmanager, mail, pagerduty, slack, text, webhook
from kgents_alert_notifier.message.facts import TEXT_MAX, Facts, clean, cut
from support.incident_facts import BEGAN, acknowledged, facts, incident, resolved
from support.vendor_rules import check_slack

GOLDEN: Final = Path(__file__).parents[2] / "data" / "alert_notifier"
NOW: Final = BEGAN + timedelta(minutes=13)


def digest() -> Facts:
    entries = [incident(number, title=f"pod shop/cart-{number} is down") for number in range(1, 24)]
    head = incident(title="23 incidents are waiting for this receiver", id="digest-1")
    return facts(head, entries=entries)


CASES: Final = {
    "opened": facts(),
    "repeated": facts(may_repeat=True),
    "acknowledged": facts(acknowledged(), known_revision=1, known_state="open"),
    "resolved": facts(resolved(), known_revision=2, known_state="acknowledged"),
    "flapping": facts(incident(revision=5, flaps=4, is_flapping=True, parent="00000000000000aa"), known_revision=4),
    "test": facts(is_test=True),
    "digest": digest(),
}


def forms(what: Facts) -> dict[str, Any]:
    """Every form of the same facts."""
    letter = mail.mail(what, sender="kgents@example.com", to="ops@example.com")
    return {
        "text": text.text(what).splitlines(),
        "slack": slack.message(what),
        "slack reply": slack.reply(what),
        "pagerduty": [pagerduty.event(what, doing, key=key, routing_key="") for doing, key in pagerduty.actions(what)],
        "alertmanager": list(alertmanager.alerts(what, now=NOW, hold_s=14_400.0)),
        "mail": {name: str(value) for name, value in letter.items()},
        "webhook": json.loads(webhook.body(what)),
    }


def written(what: Facts) -> str:
    return json.dumps(forms(what), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_a_message_says_what_its_golden_file_says(name: str) -> None:
    assert written(CASES[name]) == (GOLDEN / f"{name}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["opened", "acknowledged", "flapping"])
def test_an_open_incident_says_what_how_bad_since_when_why_and_how_to_silence_it(name: str) -> None:
    said = text.text(CASES[name])
    for part in (
        "pod shop/cart-7f restarts",
        "since 12:02 UTC",
        "for 12 min",
        "Probable cause: ",
        "KGENTS_TOPOLOGY:4711",
    ):
        assert part in said
    assert "https://kgents.example/#id=test.pod.shop.cart-7f&at=2026-11-29T12%3A14%3A03Z" in said
    assert "kgents alerts silence incident=0000000000000001" in said


def test_a_credential_in_a_note_is_masked_in_every_form() -> None:
    reasons = [
        each.__class__(text="probe failed: http://x/?token=canary", ref=each.ref, check=each.check)
        for each in incident().reasons
    ]
    what = facts(incident(reasons=reasons, title="Authorization: Bearer canary-canary-canary"))
    assert "canary" not in json.dumps(forms(what))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("one\r\ntwo\tthree", "one two three"),
        ("left\u202eright", "left right"),
        ("x" * 9_999, "x" * (TEXT_MAX - 1) + "…"),
        ("\x00\x1b[31mred", "[31mred"),
    ],
)
def test_text_from_outside_is_one_short_line(given: str, shown: str) -> None:
    assert clean(given) == shown


def test_text_is_not_cut_within_a_character() -> None:
    assert cut("abcde\u0301f", 6) == "abcd…"
    assert cut("ab\U0001f469\u200d\U0001f4bbcd", 5) == "ab…"
    assert cut("abc", 3) == "abc"


def test_slack_shows_a_mention_in_a_label_as_text() -> None:
    message = slack.message(facts(incident(title="<!channel> a & b")))
    assert message["text"] == "CRITICAL: &lt;!channel&gt; a &amp; b"
    assert all(each["text"]["type"] == "plain_text" for each in message["blocks"] if each["type"] == "header")


@pytest.mark.parametrize(("name", "legal"), [("k8s.pod", "k8s_pod"), ("9a", "_9a"), ("", "_"), ("a-b/c", "a_b_c")])
def test_names_of_labels_are_legal(name: str, legal: str) -> None:
    assert alertmanager.label_name(name) == legal


def buttons(what: Facts) -> list[tuple[str, str]]:
    message = slack.message(what, has_buttons=True)
    check_slack(message)
    found = [each for block in message["blocks"] if block["type"] == "actions" for each in block["elements"]]
    return [(each["action_id"], each["value"]) for each in found]


def test_a_bots_message_has_buttons_for_what_can_be_decided_now() -> None:
    id_ = incident().id
    assert buttons(CASES["opened"]) == [("ack", f"{id_}@1"), ("silence", f"{id_}@1")]
    assert [does for does, _ in buttons(CASES["acknowledged"])] == ["silence"]
    for name in ("resolved", "test", "digest"):
        assert buttons(CASES[name]) == [], name
    assert buttons(facts(incident(id="receiver-ops-00000000aaaa"))) == []


def test_buttons_stay_in_the_largest_message() -> None:
    large = incident(title="x" * 5_000, reasons=[structs.replace(incident().reasons[0], text="y" * 5_000)] * 3)
    assert len(buttons(facts(large))) == 2


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (facts(), [("trigger", "")]),
        (
            facts(incident(revision=2, severity_revision=2), known_revision=1),
            [("trigger", "-critical"), ("resolve", "")],
        ),
        (facts(incident(revision=2, severity_revision=2)), [("trigger", "-critical")]),
        (
            facts(incident(revision=2, severity_revision=2), may_repeat=True),
            [("trigger", "-critical"), ("resolve", "")],
        ),
        (facts(incident(revision=3, severity_revision=2), known_revision=2), []),
        (facts(acknowledged(severity_revision=1), known_revision=1, known_state="open"), [("acknowledge", "")]),
        (
            facts(acknowledged(revision=3, severity_revision=2), known_revision=2, known_state="open"),
            [("acknowledge", "-critical")],
        ),
        (facts(resolved(), known_revision=2), [("resolve", "")]),
        (facts(resolved(severity_revision=2), known_revision=2), [("resolve", "-critical"), ("resolve", "")]),
    ],
)
def test_what_became_critical_is_an_incident_of_its_own_at_pagerduty(
    what: Facts, expected: list[tuple[str, str]]
) -> None:
    """It does not page for an event of an incident that is acknowledged there."""
    assert pagerduty.actions(what) == [(doing, f"{what.incident.id}{end}") for doing, end in expected]


WEBHOOK: Final = Path(__file__).parents[3] / "docs" / "reference" / "schemas" / "webhook.json"


@pytest.mark.parametrize("name", CASES)
def test_what_a_webhook_gets_is_what_its_published_schema_says(name: str) -> None:
    schema = json.loads(WEBHOOK.read_bytes())
    body = json.loads(webhook.body(CASES[name]))
    jsonschema.validate(body, schema)
    assert set(body) <= set(schema["$defs"]["Body"]["properties"])
    event = json.loads(webhook.cloud_event(CASES[name], message_id="1", now=NOW))
    jsonschema.validate(event["data"], schema)
    for broken in ({**body, "incident": {}}, {**body, "status": 1}, {key: body[key] for key in body if key != "text"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for case, given in CASES.items():
        (GOLDEN / f"{case}.json").write_text(written(given), encoding="utf-8")
