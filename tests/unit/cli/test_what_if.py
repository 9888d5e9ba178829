"""`kgents alerts replay`: what other routes and thresholds would have sent for a recording."""

import json
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from kgents_alert_notifier.config import Config, FloodConfig
from kgents_alert_notifier.dry_run import DryRun
from kgents_alert_notifier.receiver_config import ReceiverConfig, SmtpReceiver
from kgents_alert_notifier.routing.route import RouteConfig
from kgents_cli.alerting.remade import published
from kgents_cli.alerting.what_if import replay
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import ConfigError, NotFoundError, RecordingError
from kgents_shared.contract.recording import Recording
from kgents_shared.contract.topology import TopologyEntity
from support.grouping import alert, entity
from support.recordings import BEGAN, CLUSTER, at_once, failed, large, node, pod, write

CURRENT = """
alert-notifier:
  receivers:
    ops: {webhook: {url: "http://127.0.0.1:1/canary"}}
    mail: {smtp: {host: localhost, tls: none, sender: k@example.com, to: [ops@example.com]}}
    pager: {pagerduty: {key: "0123456789abcdef0123456789abcdef"}}
  routes:
    - {match: {namespace: shop}, to: [ops], escalate: [{after_s: 300, to: [pager]}]}
    - {to: [mail]}
"""
Made = Sequence[tuple[float, TopologyEntity | Alert]]


def ref(name: str, namespace: str = "shop") -> Ref:
    return Ref(CLUSTER, "pod", name, namespace)


def fired(name: str, at_s: float, *, until_s: float | None = None, namespace: str = "shop", **more: Any) -> Made:
    found = alert(ref(name, namespace), "KG-001", BEGAN + timedelta(seconds=at_s), **more)
    topology = entity(found.ref)
    over = structs.replace(found, state="resolved", ended_at=BEGAN + timedelta(seconds=until_s or 0))
    return [(-5.0, topology), (at_s, found), *([(until_s, over)] if until_s is not None else [])]


def run(folder: Path, new: str | None, *flags: str, current: str = CURRENT) -> Result:
    config, routes = folder / "kgents.yaml", folder / "new.yaml"
    config.write_text(current)
    compared = []
    if new is not None:
        routes.write_text(new)
        compared = ["--routes", str(routes)]
    arguments = [str(folder / "it.kgrec"), "--config", str(config), *compared, *flags]
    return CliRunner().invoke(replay, arguments, catch_exceptions=False)


def changes(folder: Path, new: str | None) -> list[tuple[str, str, str, str]]:
    found = json.loads(run(folder, new, "-o", "json").stdout)
    sent = [(each["change"], each["notification"]) for each in found["notifications"]]
    return [(change, each["receiver"], each["why"], each["cause"].split()[1]) for change, each in sent]


def test_other_routes_are_compared_with_the_current_ones(tmp_path: Path) -> None:
    made = [*fired("a", 10, until_s=400), *fired("b", 20, until_s=60), *fired("z", 30, namespace="db")]
    write(tmp_path / "it.kgrec", [], 600, made)
    new = "alert-notifier: {routes: [{match: {name: a}, to: [ops], wait_s: 60}, {match: {namespace: db}, to: [mail]}]}"
    assert changes(tmp_path, None) == [
        ("same", "ops", "opening", "shop/a"),
        ("same", "ops", "opening", "shop/b"),
        ("same", "mail", "opening", "db/z"),
        ("same", "ops", "end", "shop/b"),
        ("same", "pager", "escalation", "shop/a"),
        ("same", "ops", "end", "shop/a"),
        ("same", "pager", "end", "shop/a"),
    ]
    assert changes(tmp_path, new) == [
        ("gone", "ops", "opening", "shop/b"),
        ("same", "mail", "opening", "db/z"),
        ("moved", "ops", "opening", "shop/a"),
        ("gone", "ops", "end", "shop/b"),
        ("gone", "pager", "escalation", "shop/a"),
        ("same", "ops", "end", "shop/a"),
        ("gone", "pager", "end", "shop/a"),
    ]
    table = run(tmp_path, new)
    assert "4 no longer (-), 0 more (+), 1 at another time (~), 2 the same" in table.stderr
    assert "current: 3 alerts, 3 incidents, 7 notifications (mail 1, ops 4, pager 2)" in table.stderr
    assert len(table.stdout.splitlines()) == 1 + 5
    assert "canary" not in table.stdout + table.stderr


def test_the_same_settings_make_no_difference(tmp_path: Path) -> None:
    write(tmp_path / "it.kgrec", [], 200, fired("a", 10, until_s=45))
    assert {change for change, *_ in changes(tmp_path, "alert-notifier: {web_url: https://kgents.example}")} == {"same"}


def test_thresholds_make_other_alerts_of_what_collectors_published(tmp_path: Path) -> None:
    lost, well = node("n1", "failed", "NotReady"), pod("well")
    said = [(-60.0, node("n1")), (-59.0, well), (-58.0, pod("a")), (30.0, failed(pod("a"))), (40.0, lost)]
    write(tmp_path / "it.kgrec", said, 300)
    causes = {cause for _, _, _, cause in changes(tmp_path, None)}
    assert causes == {"shop/a", "n1"}
    new = "health-scorer: {disabled_checks: [KG-001]}"
    assert ("gone", "ops", "opening", "shop/a") in changes(tmp_path, new)
    assert ("same", "mail", "opening", "n1") in changes(tmp_path, new)


def test_alerts_that_were_published_count_and_not_what_would_be_made_now(tmp_path: Path) -> None:
    said = [(-60.0, pod("a")), (30.0, failed(pod("a")))]
    write(tmp_path / "it.kgrec", said, 300, fired("b", 10))
    assert {cause for *_, cause in changes(tmp_path, None)} == {"shop/b"}
    made_again = changes(tmp_path, "health-scorer: {calm_s: 700}")
    assert {cause for *_, cause in made_again} == {"shop/a"}


def test_a_storm_is_a_few_notifications_by_the_pace_of_each_receiver(tmp_path: Path) -> None:
    storm = [each for number in range(500) for each in fired(f"p{number}", 10 + number * 0.05)]
    write(tmp_path / "it.kgrec", [], 120, storm)
    with (tmp_path / "it.kgrec").open("rb") as opened:
        recording = Recording(opened)
        track = published(recording.rows(), recording.header.started_at)[CLUSTER]
    mail = ReceiverConfig(smtp=SmtpReceiver(host="h", tls="none", sender="k@example.com", to=["a@example.com"]))
    config = Config(receivers={"mail": mail}, routes=[RouteConfig(to=["mail"])], flood=FloodConfig(worst=0))
    dry_run = DryRun(CLUSTER, config)
    sent = [each for now, changed in track.moments() for each in dry_run.take(now, changed)]
    assert dry_run.incidents == 500
    assert [each.why for each in sent].count("digest") <= 4  # every 10 s
    assert sum(each.incidents for each in sent) == 500
    gaps = [(after.at - before.at).total_seconds() for before, after in pairwise(sent)]
    assert min(gaps) >= 10


def test_what_fired_before_the_recording_is_notified_at_its_beginning(tmp_path: Path) -> None:
    before = fired("a", -600)
    write(tmp_path / "it.kgrec", [], 60, before)
    found = json.loads(run(tmp_path, None, "-o", "json").stdout)["notifications"]
    assert [each["notification"]["at"] for each in found] == ["2026-06-01T12:00:00Z"]


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    write(tmp_path / "it.kgrec", at_once([failed(each) for each in large(50)], 1), 10)
    with pytest.raises(NotFoundError, match="holds nothing of the cluster prd; did you mean"):
        run(tmp_path, None, "--cluster", "prd")
    with pytest.raises(ConfigError) as found:
        run(tmp_path, "alert-notifier: {routes: [{to: [opps]}]}")
    assert "opps" in str(found.value)
    (tmp_path / "it.kgrec").write_bytes(b"something else")
    with pytest.raises(RecordingError, match="found another file"):
        run(tmp_path, None)


def test_without_a_receiver_the_way_to_name_one_is_said(tmp_path: Path) -> None:
    write(tmp_path / "it.kgrec", [], 60, fired("a", 1))
    result = run(tmp_path, None, current="{}")
    assert "names no receiver" in result.stderr
    assert "1 alert, 1 incident, 0 notifications" in result.stderr
