"""Settings → receivers by name. Each address of an e-mail receiver is a receiver of its own."""

import hashlib
from collections.abc import Callable
from datetime import datetime

from kgents_alert_notifier.receiver_config import ReceiverConfig
from kgents_alert_notifier.receivers import slack
from kgents_alert_notifier.receivers.alertmanager import Alertmanager
from kgents_alert_notifier.receivers.pagerduty import PagerDuty
from kgents_alert_notifier.receivers.receiver import Receiver
from kgents_alert_notifier.receivers.smtp import Smtp
from kgents_alert_notifier.receivers.webhook import Webhook


def names_of(name: str, config: ReceiverConfig) -> list[str]:
    """The receivers that one of the configuration stands for: `mail` → `mail:3f2a90c1` for each address."""
    if config.smtp is None:
        return [] if config.is_deadman else [name]
    return [_named(name, each) for each in config.smtp.to]


def make(
    name: str, config: ReceiverConfig, now: Callable[[], datetime], *, has_buttons: bool = False
) -> dict[str, Receiver]:
    """The receivers of one entry of the configuration; messages have buttons where clicks can arrive.

    Raises:
        ImportError: it needs Apprise, which is not installed.
    """
    if config.smtp is not None:
        return {_named(name, each): Smtp(config.smtp, each) for each in config.smtp.to}
    return {name: _single(config, now, has_buttons=has_buttons)}


def _single(config: ReceiverConfig, now: Callable[[], datetime], *, has_buttons: bool) -> Receiver:
    if config.slack is not None:
        return slack.of(config.slack, has_buttons=has_buttons)
    if config.pagerduty is not None:
        return PagerDuty(config.pagerduty)
    if config.webhook is not None:
        return Webhook(config.webhook, now)
    if config.alertmanager is not None:
        return Alertmanager(config.alertmanager, now)
    if config.apprise is not None:
        from kgents_alert_notifier.receivers.apprise import Apprise  # noqa: PLC0415 - an extra, and 17 MB of memory

        return Apprise(config.apprise)
    raise ValueError(f"expected a receiver of incidents, found {config.kind}")


def _named(name: str, address: str) -> str:
    return f"{name}:{hashlib.blake2b(address.encode(), digest_size=4).hexdigest()}"
