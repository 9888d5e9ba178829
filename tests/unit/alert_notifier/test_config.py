"""Faults of the configuration, each with what to do; and its short form."""

from typing import Any

import pytest

from kgents_alert_notifier.config import Config
from kgents_alert_notifier.receiver_config import (
    AlertmanagerReceiver,
    DeadmanReceiver,
    PagerDutyReceiver,
    ReceiverConfig,
    SlackReceiver,
    SmtpReceiver,
    WebhookReceiver,
)
from kgents_alert_notifier.routing.route import RouteConfig
from kgents_shared.bus.config import LateSecret
from kgents_shared.contract.section import InvalidSectionError

TOOL = {"tool": ReceiverConfig(webhook=WebhookReceiver(url=LateSecret("http://tool")))}
ALIVE = {"alive": ReceiverConfig(deadman=DeadmanReceiver(url=LateSecret("http://alive")))}


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        (
            {"routes": [RouteConfig(to=["tol"])]},
            'routes[0].to: expected the name of a receiver, found "tol"; known: tool',
        ),
        ({"routes": [RouteConfig(to=["alive"])]}, "routes[0].to: expected the name of a receiver, found alive, which"),
        (
            {"routes": [RouteConfig(to=["tool"], when="night")]},
            'routes[0].when: expected the name of a window, found "night"; add windows.night',
        ),
        (
            {"routes": [RouteConfig(to=["tool"]), RouteConfig(match={"severity": "critical"}, to=["tool"])]},
            "routes[1]: expected a route that something can reach, found routes[0] before it",
        ),
        (
            {"routes": [RouteConfig(match={"namespace": ["a", "b"]}, to=[]), RouteConfig(match={"namespace": "a"})]},
            "routes[1]: expected a route that something can reach",
        ),
        ({"runbook_url": "https://wiki.example/runbook"}, "runbook_url: expected {check} in it"),
        ({"web_url": "kgents.example"}, "web_url: expected a url of http:// or https:// with a host"),
    ],
)
def test_a_fault_says_what_to_do(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidSectionError) as error:
        Config(receivers=TOOL | ALIVE, **fields)
    assert fault in str(error.value)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (SlackReceiver, "expected token_file or webhook_file, found neither"),
        (lambda: SlackReceiver(token=LateSecret("t"), webhook=LateSecret("w"), channel="c"), "found both"),
        (lambda: SlackReceiver(token=LateSecret("t")), "channel: expected the bot's channel, found none"),
        (PagerDutyReceiver, "key_file: expected the routing key"),
        (lambda: AlertmanagerReceiver(urls=["http://am:9093"], hold_s=100), "hold_s: expected at least 3 × resend_s"),
        (
            lambda: SmtpReceiver(host="h", sender="a@h", to=["b@h"], tls="none", user="u", password=LateSecret("p")),
            "tls: expected starttls or implicit beside a password",
        ),
        (lambda: SmtpReceiver(host="h", sender="a@h", to=["x"]), 'to[0]: expected an e-mail address, found "x"'),
        (ReceiverConfig, "expected one of slack, pagerduty"),
        (lambda: RouteConfig(match={"team": "x"}), "match.team: expected one of cluster, namespace"),
        (
            lambda: RouteConfig(match={"severity": "crit"}),
            'match.severity: expected one of warning, critical, found "crit"',
        ),
    ],
)
def test_a_receiver_or_route_that_cannot_work_is_refused(make: Any, fault: str) -> None:
    with pytest.raises(InvalidSectionError) as error:
        make()
    assert fault in str(error.value)


def test_a_route_that_is_not_shadowed_is_accepted() -> None:
    Config(
        receivers=TOOL,
        routes=[
            RouteConfig(match={"namespace": "a", "severity": "critical"}, to=["tool"]),
            RouteConfig(match={"namespace": "a"}, to=["tool"], also=True),
            RouteConfig(to=["tool"]),
        ],
    )


def test_the_short_form_is_two_receivers_and_wakes_for_what_is_critical_alone() -> None:
    config = Config(slack_webhook=LateSecret("https://hooks"), pagerduty_key=LateSecret("k" * 32))
    assert list(config.all_receivers()) == ["slack", "pagerduty"]
    first, second = config.all_routes()
    assert (first.match, first.to, first.also) == ({"severity": "critical"}, ["pagerduty"], True)
    assert (second.match, second.to) == ({}, ["slack"])


def test_without_routes_every_receiver_is_notified_but_a_dead_mans() -> None:
    config = Config(receivers=TOOL | ALIVE)
    assert [each.to for each in config.all_routes()] == [["tool"]]


@pytest.mark.parametrize(
    ("fields", "remarks"),
    [
        ({"receivers": TOOL | ALIVE}, []),
        ({"receivers": TOOL}, ["no receiver `deadman`"]),
        (
            {"receivers": TOOL | ALIVE, "routes": [RouteConfig(to=[])]},
            ["no route names the receiver tool", "no receiver is"],
        ),
        (
            {"receivers": TOOL | ALIVE, "routes": [RouteConfig(match={"severity": "warning"}, to=["tool"])]},
            ["no receiver is notified of what is critical", "no route takes what none of them matches"],
        ),
        (
            {"receivers": TOOL | ALIVE, "routes": [RouteConfig(match={"namespace": "shop"}, to=["tool"])]},
            ["no route takes what none of them matches"],
        ),
        (
            {
                "receivers": TOOL | ALIVE,
                "routes": [RouteConfig(match={"severity": each}, to=["tool"]) for each in ("critical", "warning")],
            },
            [],
        ),
        ({"enabled": False}, []),
    ],
)
def test_what_is_probably_not_meant_is_remarked(fields: dict[str, Any], remarks: list[str]) -> None:
    found = list(Config(**fields).remarks())
    assert [any(each.startswith(remark) for each in found) for remark in remarks] == [True] * len(remarks)
    assert len(found) == len(remarks)
