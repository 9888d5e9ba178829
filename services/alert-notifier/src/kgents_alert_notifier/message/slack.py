"""Facts → a Slack message: `text`, which phones show, and `blocks`. Pure.

Slack refuses blocks beyond its limits, and, though it documents no such limit, more than about 13,000 characters in
all. Data is escaped, so that `<!channel>` in a label notifies no one; links are built here alone.
"""

import re
from typing import Any, Final

from kgents_alert_notifier.message.facts import Facts, cut
from kgents_alert_notifier.message.text import lines

BUTTON_MAX: Final = 75
HEADER_MAX: Final = 150
SECTION_MAX: Final = 3_000
BLOCKS_MAX: Final = 12
"""Slack takes 50."""
SUM_MAX: Final = 6_000
TEXT_MAX: Final = 1_000
ACK: Final = "ack"
SILENCE: Final = "silence"
"""Of the buttons."""
SILENCED_S: Final = 3_600
EVENT_TYPE: Final = "kgents_incident"
"""Of the metadata by which a message is found again."""
_INCIDENT: Final = re.compile(r"[0-9a-f]{16}\Z")
"""An id; those of digests and of problems with a receiver are no one's to decide."""
_SIGNS: Final = {"critical": "🔴", "warning": "🟠", "acknowledged": "👀", "resolved": "✅"}


def message(facts: Facts, *, has_buttons: bool = False) -> dict[str, Any]:
    """Text, blocks and metadata of the incident's message; with buttons where clicks can arrive."""
    blocks = [_header(facts), *(_section(each) for each in _paragraphs(facts))]
    if facts.link:
        blocks.append(_section_of_markdown(f"<{facts.link}|Open in the web view>"))
    if facts.runbook:
        blocks.append(_section_of_markdown(f"<{facts.runbook}|Runbook of {facts.incident.root.check}>"))
    if has_buttons and (buttons := _buttons(facts)):
        blocks.append({"type": "actions", "elements": buttons})
    if facts.silence:
        blocks.append({"type": "context", "elements": [_plain(f"Silence: {facts.silence}", SECTION_MAX)]})
    return {"text": escaped(cut(facts.headline, TEXT_MAX)), "blocks": _within(blocks), "metadata": metadata(facts)}


def _buttons(facts: Facts) -> list[dict[str, Any]]:
    """What can be decided of it now; nothing of a test, a digest, or what is over."""
    incident = facts.incident
    if facts.is_over or facts.is_test or not _INCIDENT.match(incident.id):
        return []
    value = f"{incident.id}@{incident.revision}"
    doings = [*([(ACK, "Acknowledge")] if incident.state == "open" else []), (SILENCE, "Silence for 1 h")]
    return [
        {"type": "button", "text": _plain(words, BUTTON_MAX), "action_id": does, "value": value}
        for does, words in doings
    ]


def reply(facts: Facts) -> dict[str, Any]:
    """What is added to the thread when the state changes: edits of the message itself notify no one."""
    notes = [each for each in facts.notes if facts.incident.state == "acknowledged" or facts.may_repeat]
    words = "\n".join([facts.headline, facts.lasting, *notes])
    return {"text": escaped(cut(words, SECTION_MAX)), "metadata": metadata(facts)}


def metadata(facts: Facts) -> dict[str, Any]:
    """By which the message is found again after a lost answer."""
    payload = {"incident": facts.incident.id, "revision": facts.incident.revision}
    return {"event_type": EVENT_TYPE, "event_payload": payload}


def escaped(text: str) -> str:
    """Text that Slack shows as it is: in this order, or the signs of an escape would be escaped again."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _header(facts: Facts) -> dict[str, Any]:
    sign = _SIGNS.get(facts.status, "")
    return {"type": "header", "text": _plain(f"{sign} {facts.headline}".strip(), HEADER_MAX)}


def _paragraphs(facts: Facts) -> list[str]:
    """One for each line of the text, without those that have a block of their own."""
    return [each for each in list(lines(facts))[1:] if not each.startswith(("View: ", "Runbook: ", "Silence: "))]


def _section(words: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain(words, SECTION_MAX)}


def _section_of_markdown(words: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": words}}


def _plain(words: str, limit: int) -> dict[str, Any]:
    """Plain text: nothing in it is a link or a mention."""
    return {"type": "plain_text", "text": cut(words, limit), "emoji": False}


def _within(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first blocks that fit, and the last one, the way to silence it, in any case."""
    if len(blocks) > BLOCKS_MAX:
        blocks = [*blocks[: BLOCKS_MAX - 1], blocks[-1]]
    kept: list[dict[str, Any]] = []
    left = SUM_MAX - _chars(blocks[-1])
    for each in blocks[:-1]:
        if (left := left - _chars(each)) < 0:
            break
        kept.append(each)
    return [*kept, blocks[-1]]


def _chars(block: dict[str, Any]) -> int:
    parts = block.get("elements") or [block["text"]]
    texts = (each["text"] for each in parts)
    return sum(len(each if isinstance(each, str) else each["text"]) for each in texts)
