"""The settings of alert-notifier: receivers, windows of time, routes, grouping → `routing/`, `grouping/`, delivery."""

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from kgents_alert_notifier.grouping.grouping_config import GroupingConfig
from kgents_alert_notifier.inbound.inbound_config import InboundConfig
from kgents_alert_notifier.message.facts import CHECK, Links
from kgents_alert_notifier.receiver_config import PagerDutyReceiver, ReceiverConfig, SlackReceiver
from kgents_alert_notifier.routing.route import RouteConfig, shadowed_by, takes_critical, takes_everything
from kgents_alert_notifier.routing.window import MaintenanceConfig, WindowConfig
from kgents_shared.bus.config import LateSecret
from kgents_shared.contract.section import Fault, Section, unusable_url

SLACK: Final = "slack"
PAGERDUTY: Final = "pagerduty"
"""The receivers of the short form."""


class FloodConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many incidents at once: `alert-notifier.flood`."""

    waiting: Annotated[int, msgspec.Meta(ge=2, le=10_000)] = 20
    """With more waiting for one receiver, one digest takes their place."""

    worst: Annotated[int, msgspec.Meta(ge=0, le=100)] = 5
    """How many of the worst are notified separately all the same."""


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `alert-notifier`."""

    clusters: list[str] = []
    """Clusters that this instance may serve; empty: all. Instances share them evenly, each cluster served by one of
    them at a time."""

    enabled: bool = True
    """Whether receivers are notified. Incidents are published in any case."""

    slack_webhook: LateSecret | None = None
    """The short form of a receiver `slack` that is notified of everything: the url of an incoming webhook."""

    pagerduty_key: LateSecret | None = None
    """The short form of a receiver `pagerduty` that is notified of what is critical: a routing key."""

    web_url: str = ""
    """Where people open the web view; messages link there. Empty: no links."""

    runbook_url: str = ""
    """Where the pages of docs/runbook are read, with `{check}` in place of the check's number:
    `https://wiki.example.com/runbook/{check}.md`. Messages link to that of the probable cause. Empty: no links."""

    receivers: dict[str, ReceiverConfig] = {}
    """Who can be notified, by name."""

    windows: dict[str, WindowConfig] = {}
    """Times of the week, by name, for `when` of a route and for `maintenance`."""

    routes: list[RouteConfig] = []
    """Who is notified of what: the first one that matches counts, and the next ones too while it says `also`. Empty:
    every receiver is notified of everything."""

    maintenance: list[MaintenanceConfig] = []
    """Planned disruptions that come again. A single one is a silence: `kgents alerts silence`."""

    grouping: GroupingConfig = GroupingConfig()
    """Which alerts are one incident."""

    flood: FloodConfig = FloodConfig()
    """What becomes of many incidents at once."""

    inbound: InboundConfig = InboundConfig()
    """Where Slack and PagerDuty report what people decide there."""

    def faults(self) -> Iterator[Fault]:
        if self.web_url:
            yield from unusable_url("web_url", self.web_url, ("http", "https"), "https://kgents.example.com")
        if self.runbook_url:
            example = f"https://wiki.example.com/runbook/{CHECK}.md"
            yield from unusable_url("runbook_url", self.runbook_url, ("http", "https"), example)
            if CHECK not in self.runbook_url:
                yield Fault("runbook_url", f"{CHECK} in it", f'"{self.runbook_url}"', f"try: {example}")
        for name, short in ((SLACK, self.slack_webhook), (PAGERDUTY, self.pagerduty_key)):
            if short is not None and name in self.receivers:
                advice = f"rename receivers.{name}"
                yield Fault(f"receivers.{name}", "another name beside its short form", name, advice)
        for place, each in enumerate(self.maintenance):
            if each.window:
                yield from self._unknown_window(f"maintenance[{place}].window", each.window)
        yield from self._faults_of_routes()

    def _faults_of_routes(self) -> Iterator[Fault]:
        known = self.all_receivers()
        for place, route in enumerate(self.routes):
            at = f"routes[{place}]"
            for name in route.receivers:
                if name not in known or known[name].is_deadman:
                    found = f'"{name}"' if name not in known else f"{name}, which only hears that all is well"
                    names = [each for each in known if not known[each].is_deadman]
                    advice = f"known: {', '.join(names)}" if names else f"add receivers.{name}"
                    yield Fault(f"{at}.to", "the name of a receiver", found, advice, beside=("receivers",))
            if route.when:
                yield from self._unknown_window(f"{at}.when", route.when.removeprefix("!"))
            if (before := shadowed_by(route, self.routes[:place])) is not None:
                advice = "put it first, or set `also: true` there"
                found = f"routes[{before}] before it, which takes all of that"
                yield Fault(at, "a route that something can reach", found, advice, beside=("routes",))

    def _unknown_window(self, at: str, name: str) -> Iterator[Fault]:
        if name not in self.windows:
            advice = f"known: {', '.join(self.windows)}" if self.windows else f"add windows.{name}"
            yield Fault(at, "the name of a window", f'"{name}"', advice, beside=("windows",))

    def remarks(self) -> Iterator[str]:
        """What may be meant so, and probably is not."""
        receivers = {name: each for name, each in self.all_receivers().items() if not each.is_deadman}
        used = {name for route in self.all_routes() for name in route.receivers}
        for name in receivers:
            if name not in used:
                yield f"no route names the receiver {name}; it is notified of nothing"
        if self.enabled and not any(map(takes_critical, self.all_routes())):
            yield "no receiver is notified of what is critical; try a last route {to: [NAME]}"
        if self.enabled and receivers and not takes_everything(self.all_routes()):
            yield "no route takes what none of them matches, so no one is notified of it; try a last route {to: [NAME]}"
        if self.enabled and receivers and len(receivers) == len(self.all_receivers()):
            yield "no receiver `deadman`: while NATS or this service is away, no one is notified of that"

    @property
    def links(self) -> Links:
        """Where messages lead to."""
        return Links(self.web_url, self.runbook_url)

    def all_receivers(self) -> dict[str, ReceiverConfig]:
        """Receivers by name, those of the short form too."""
        found = dict(self.receivers)
        if self.slack_webhook is not None:
            found.setdefault(SLACK, ReceiverConfig(slack=SlackReceiver(webhook=self.slack_webhook)))
        if self.pagerduty_key is not None:
            found.setdefault(PAGERDUTY, ReceiverConfig(pagerduty=PagerDutyReceiver(key=self.pagerduty_key)))
        return found

    def all_routes(self) -> list[RouteConfig]:
        """Routes in their order; without any in the configuration, every receiver is notified of everything.

        The receiver `pagerduty` of the short form is notified of what is critical: it wakes people.
        """
        if self.routes:
            return self.routes
        names = [name for name, each in self.all_receivers().items() if not each.is_deadman]
        waking = [PAGERDUTY] if self.pagerduty_key is not None and PAGERDUTY in names else []
        others = [name for name in names if name not in waking]
        routes = [RouteConfig(match={"severity": "critical"}, to=waking, also=True, wait_s=10.0)] if waking else []
        return [*routes, RouteConfig(to=others)]
