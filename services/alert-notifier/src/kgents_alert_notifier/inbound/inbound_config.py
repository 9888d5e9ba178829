"""The settings of the requests that Slack and PagerDuty send: `alert-notifier.inbound` → `door`."""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from kgents_shared.bus.config import LateSecret
from kgents_shared.contract.section import Fault, Section


class InboundConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where Slack and PagerDuty report what people decide there: `alert-notifier.inbound`."""

    host: str = "127.0.0.1"
    """The address to listen on. What ends TLS and passes the two paths on is in front of it; in a pod set `0.0.0.0`."""

    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] | None = None
    """The TCP port. null: nothing listens. 0: any free port."""

    slack_secret: LateSecret | None = None
    """The signing secret of the Slack app whose bot posts the messages; with it they have buttons. Its interactivity
    request URL leads to `/slack`."""

    pagerduty_secret: LateSecret | None = None
    """The secret of a webhook subscription (v3) of PagerDuty, whose URL leads to `/pagerduty`. Both secrets may have
    several lines, one secret each, while they are exchanged."""

    def faults(self) -> Iterator[Fault]:
        secrets = (self.slack_secret, self.pagerduty_secret)
        if self.port is not None and secrets == (None, None):
            advice = "without one no request can be trusted; set port to null to listen for none"
            yield Fault("port", "slack_secret_file or pagerduty_secret_file beside it", "neither", advice)
        if self.port is None and secrets != (None, None):
            yield Fault(
                "port", "a port beside a secret", "null", "try: 7790", beside=("slack_secret", "pagerduty_secret")
            )
        if not self.host.strip():
            yield Fault("host", "an address to listen on", "an empty text", "try: 127.0.0.1, or 0.0.0.0 for every one")

    @property
    def has_buttons(self) -> bool:
        """Whether what is clicked in Slack arrives."""
        return self.port is not None and self.slack_secret is not None
