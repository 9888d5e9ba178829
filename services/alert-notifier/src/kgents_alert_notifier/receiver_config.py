"""The settings of the receivers: who is notified, and how → `config.Config.receivers`. Secrets come from files."""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

import msgspec
from msgspec import structs

from kgents_shared.bus.config import LateSecret
from kgents_shared.contract.section import Fault, Section, unusable_url

Seconds = Annotated[float, msgspec.Meta(gt=0, le=7 * 86_400)]

_ADDRESS: Final = re.compile(r"[^@\s,<>]+@[^@\s,<>]+\Z")


class SlackReceiver(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Slack: a bot, which keeps one message for each incident up to date, or an incoming webhook, which cannot."""

    pause_s: ClassVar[float] = 1.0
    """Slack takes about one message a second for each channel, and may disable an app that goes on while limited."""

    token: LateSecret | None = None
    """Of a bot that may `chat:write`, and `channels:history` to find a message again after a lost answer."""

    channel: str = ""
    """The bot's channel, its id (`C0123ABCD`) or name."""

    webhook: LateSecret | None = None
    """The url of an incoming webhook. It is a secret: who has it can post."""

    url: str = "https://slack.com"
    """Where Slack's API is."""

    def faults(self) -> Iterator[Fault]:
        if (self.token is None) == (self.webhook is None):
            found = "both" if self.token is not None else "neither"
            advice = "a bot (token_file and channel) can update its messages, a webhook cannot"
            yield Fault("", "token_file or webhook_file", found, advice, beside=("token", "webhook"))
        if self.token is not None and not self.channel.strip():
            yield Fault("channel", "the bot's channel", "none", "try: the channel's id, such as C0123ABCD")
        yield from unusable_url("url", self.url, ("http", "https"), "https://slack.com")


class PagerDutyReceiver(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """PagerDuty, by its Events API v2."""

    key: LateSecret | None = None
    """The integration (routing) key of a service, 32 characters."""

    url: str = "https://events.pagerduty.com"
    """Where the Events API is; `https://events.eu.pagerduty.com` in the EU."""

    def faults(self) -> Iterator[Fault]:
        yield from _required("key", self.key, "the routing key of an Events API v2 integration")
        yield from unusable_url("url", self.url, ("http", "https"), "https://events.pagerduty.com")


class WebhookReceiver(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any program that takes JSON over HTTP."""

    url: LateSecret | None = None
    """Where to post. A url often has a token in it, so it is taken for a secret."""

    secret: LateSecret | None = None
    """The key of the signature (Standard Webhooks), `whsec_` and base64 of at least 24 bytes. None: not signed."""

    format: Literal["json", "cloudevents"] = "json"
    """The incident itself, or as a structured CloudEvent."""

    def faults(self) -> Iterator[Fault]:
        yield from _required("url", self.url, "where to post")


class AlertmanagerReceiver(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prometheus Alertmanager, by its API v2."""

    urls: list[str] = []
    """Every peer of a cluster: alerts are not passed on among them."""

    resend_s: Seconds = 60.0
    """How often open incidents are sent again: an Alertmanager forgets them when it restarts."""

    hold_s: Seconds = 14_400.0
    """How long an alert lasts there without being sent again. Long, so that a dead notifier does not look like the end
    of all incidents."""

    watchdog: bool = False
    """Whether `KgentsWatchdog` fires there as long as alerts can be delivered, and ends when they cannot. Route it to a
    service that raises the alarm when it no longer hears of it, and to nothing else."""

    def faults(self) -> Iterator[Fault]:
        if not self.urls:
            yield Fault("urls", "the url of each peer", "none", "try: [http://alertmanager:9093]")
        for place, url in enumerate(self.urls):
            yield from unusable_url(f"urls[{place}]", url, ("http", "https"), "http://alertmanager:9093")
        if self.hold_s < 3 * self.resend_s:
            advice = "a late message would resolve the alert there"
            yield Fault("hold_s", "at least 3 × resend_s", f"{self.hold_s:g}", advice, beside=("resend_s",))


class SmtpReceiver(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """E-mail."""

    pause_s: ClassVar[float] = 10.0
    """Between two mails to one address: what waits meanwhile becomes a digest."""

    host: str = ""
    """The mail server."""

    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] | None = None
    """Its port. null: 587 with `starttls`, 465 with `implicit`, 25 with `none`."""

    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """How the connection is encrypted. A server that does not offer it gets no mail."""

    sender: str = ""
    """The address that the mails come from."""

    to: list[str] = []
    """Who gets them; each address gets its own mail."""

    user: str | None = None
    """The login, if the server wants one."""

    password: LateSecret | None = None
    """Its password."""

    def faults(self) -> Iterator[Fault]:
        if not self.host.strip():
            yield Fault("host", "the mail server", "none", "try: mail.example.com")
        if not _ADDRESS.match(self.sender):
            yield Fault("sender", "an e-mail address", f'"{self.sender}"', "try: kgents@example.com")
        if not self.to:
            yield Fault("to", "at least one address", "none", "try: [ops@example.com]")
        for place, address in enumerate(self.to):
            if not _ADDRESS.match(address):
                yield Fault(f"to[{place}]", "an e-mail address", f'"{address}"', "try: ops@example.com")
        if self.password is not None and self.tls == "none":
            advice = "a password is never sent in clear text"
            yield Fault("tls", "starttls or implicit beside a password", "none", advice, beside=("password",))
        if (self.password is None) != (self.user is None):
            missing, given = ("password_file", "user") if self.password is None else ("user", "password_file")
            yield Fault(missing, f"{missing} beside {given}", "none", f"set {missing} too", beside=("user", "password"))


class AppriseReceiver(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything else, by Apprise, which the extra `apprise` installs."""

    pause_s: ClassVar[float] = 1.0

    url: LateSecret | None = None
    """Apprise's url of the service. It is a secret."""

    def faults(self) -> Iterator[Fault]:
        yield from _required("url", self.url, "the url of a service in Apprise's form")


class DeadmanReceiver(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service outside that raises the alarm when it hears nothing of us: while NATS is away, nothing else does."""

    url: LateSecret | None = None
    """What is requested as long as alerts can be delivered."""

    every_s: Seconds = 60.0
    """How often. Let it raise the alarm after three times as long."""

    def faults(self) -> Iterator[Fault]:
        yield from _required("url", self.url, "the url that a ping goes to")


class ReceiverConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One receiver: exactly one of these."""

    slack: SlackReceiver | None = None
    """Slack."""

    pagerduty: PagerDutyReceiver | None = None
    """PagerDuty."""

    webhook: WebhookReceiver | None = None
    """Any program that takes JSON over HTTP."""

    alertmanager: AlertmanagerReceiver | None = None
    """Prometheus Alertmanager."""

    smtp: SmtpReceiver | None = None
    """E-mail."""

    apprise: AppriseReceiver | None = None
    """Everything else."""

    deadman: DeadmanReceiver | None = None
    """Hears regularly that alerts can be delivered."""

    def faults(self) -> Iterator[Fault]:
        known = [field.name for field in structs.fields(ReceiverConfig)]
        given = [name for name in known if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            yield Fault("", f"one of {', '.join(known)}", found, "give each receiver its own name", beside=tuple(known))

    @property
    def kind(self) -> str:
        """Which of them it is."""
        return next(field.name for field in structs.fields(ReceiverConfig) if getattr(self, field.name) is not None)

    @property
    def pause_s(self) -> float:
        """At least so long between two messages."""
        return getattr(getattr(self, self.kind), "pause_s", 0.0)

    @property
    def shows_growth(self) -> bool:
        """Whether it is sent what changes no state: its message is updated, or a program reads it."""
        is_bot = self.slack is not None and self.slack.token is not None
        return is_bot or self.webhook is not None or self.alertmanager is not None

    @property
    def is_deadman(self) -> bool:
        """Whether it is no receiver of incidents."""
        return self.deadman is not None


def _required(name: str, value: object, meaning: str) -> Iterator[Fault]:
    if value is None:
        yield Fault(f"{name}_file", meaning, "none", f"write it to a file and set {name}_file", beside=(name,))
