"""A configuration in another layout becomes ours: what it says holds, and what is lost is said."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from kgents_cli.config_text import yaml_text
from kgents_cli.installed import load_service, service_names
from kgents_cli.translation import Translation, translate
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_health_scorer.checks.check import Thresholds
from kgents_shared.contract.section import Section
from kgents_shared.runtime.config import CommonConfig, load_all
from kgents_shared.runtime.ini import read_ini

INFRASTRUCTURE = """
collectors:
  kubernetes: {enabled: true, kubeconfig: null, namespaces: [shop, back], poll_interval: 5.0}
  docker: {enabled: true, socket: "unix:///run/podman/podman.sock", poll_interval: 3.0}
  nats:
    enabled: true
    url: "nats://broker:4222"
    monitor_url: "http://broker:8222"
    poll_interval: 2.0
    subjects: ["shop.>"]
  postgres:
    {enabled: true, host: db, port: 5433, database: orders, user: watcher, password: hunter1, poll_interval: 5}
  otel: {enabled: true, otlp_endpoint: "http://gateway:4317", prometheus_endpoint: "http://metrics:9090"}
visualization: {max_entities: 1000, layout_algorithm: force, animation_fps: 60}
health:
  cpu_warning_threshold: 0.6
  cpu_critical_threshold: 0.85
  memory_warning_threshold: 0.75
  memory_critical_threshold: 0.9
alerts: {enabled: true, slack_webhook: null, pagerduty_key: null}
"""

AGENT = """
[database]
host = 10.1.2.3
port = 5433
name = orders
user = watcher
password = hunter2
statement_timeout_ms = 4000
[collection]
interval_s = 60
log_path = /var/log/postgresql
[listener]
url = https://listener.example/ingest
api_key = hunter3
project_id = shop
[buffer]
path = /tmp/kgents-buffer
max_size_mb = 100
"""


def loaded(translation: Translation, tmp_path: Path) -> tuple[CommonConfig, dict[str, Any]]:
    """What our services read out of a translation."""
    path = tmp_path / "kgents.yaml"
    path.write_text(yaml_text(translation.settings, translation.comments, heading="A heading."))
    sections: dict[str, type[Section]] = {name: load_service(name).config for name in service_names()}
    common, own = load_all(sections, path=path, environ={"HOME": "/"}, services=list(sections))
    return common, dict(zip(sections, own, strict=True))


def test_all_that_has_a_counterpart_holds(tmp_path: Path) -> None:
    translation = translate(yaml.safe_load(INFRASTRUCTURE))
    secret = translation.settings["collector-db"]["postgres"]["main"].pop("password_file")  # a file that is not there
    assert secret == "/etc/kgents/secrets/postgres-main-password"
    common, own = loaded(translation, tmp_path)
    assert common.nats.url == "nats://broker:4222"
    assert own["collector-k8s"].namespaces == ["shop", "back"]
    assert [engine.url for engine in own["collector-docker"].engines] == ["unix:///run/podman/podman.sock"]
    assert own["collector-docker"].poll_interval_s == 3.0
    assert (own["collector-nats"].monitor_urls, own["collector-nats"].poll_interval_s) == (["http://broker:8222"], 2.0)
    assert own["collector-otel"].grpc.port == 4317
    assert own["collector-otel"].prometheus_endpoint == "http://metrics:9090"
    assert own["collector-db"].postgres == {
        "main": PostgresTarget(host="db", port=5433, database="orders", user="watcher", interval_s=5)
    }
    assert own["health-scorer"].thresholds == {
        "KG-102": Thresholds(warn=0.6, crit=0.85),
        "KG-101": Thresholds(warn=0.75, crit=0.9, fatal=1.0),
    }


def test_all_that_has_none_is_named_once_with_the_reason() -> None:
    remarks = translate(yaml.safe_load(INFRASTRUCTURE)).remarks
    assert [remark.partition(": no counterpart: ")[0] for remark in remarks if "no counterpart" in remark] == [
        "collectors.kubernetes.poll_interval",
        "collectors.nats.subjects",
        "visualization.max_entities",
        "visualization.layout_algorithm",
        "visualization.animation_fps",
    ]


def test_an_agent_s_ini_file_becomes_a_database_to_watch(tmp_path: Path) -> None:
    file = tmp_path / "agent.ini"
    file.write_text(AGENT)
    translation = translate(read_ini(file))
    target = translation.settings["collector-db"]["postgres"]["main"]
    assert target.pop("password_file") == "/etc/kgents/secrets/postgres-main-password"
    target["log_path"] = str(tmp_path)
    common, own = loaded(translation, tmp_path)
    assert (common.cluster, common.data_dir) == ("shop", "/tmp/kgents-buffer")  # noqa: S108 - a name, nothing is made
    assert own["collector-db"].postgres == {
        "main": PostgresTarget(
            host="10.1.2.3",
            port=5433,
            database="orders",
            user="watcher",
            statement_timeout_s=4.0,
            interval_s=60,
            log_path=str(tmp_path),
        )
    }


def test_no_secret_is_written_or_said(tmp_path: Path) -> None:
    file = tmp_path / "agent.ini"
    file.write_text(AGENT)
    document: dict[object, Any] = yaml.safe_load(INFRASTRUCTURE)
    document["alerts"] = {"slack_webhook": "https://hooks.example/hunter4", "pagerduty_key": "hunter5"}
    document["collectors"]["nats"]["url"] = "nats://me:hunter6@a:4222,nats://hunter7@b:4222"
    for given in (document, read_ini(file)):
        translation = translate(given)
        written = yaml_text(translation.settings, translation.comments, heading="")
        assert "hunter" not in written + "".join(translation.remarks)
    assert sum("secret is not copied" in remark for remark in translate(document).remarks) == 5
    assert translate(document).settings["nats"]["url"] == "nats://a:4222, nats://b:4222"


def test_a_database_may_be_one_url_and_be_there_without_more(tmp_path: Path) -> None:
    url = "postgresql://watcher:hunter1@db.shop:5433/orders?sslmode=require"
    translation = translate({"collectors": {"postgres": {"enabled": True, "url": url}}})
    password_file = translation.settings["collector-db"]["postgres"]["main"].pop("password_file")
    assert loaded(translation, tmp_path)[1]["collector-db"].postgres == {
        "main": PostgresTarget(host="db.shop", port=5433, database="orders", user="watcher")
    }
    assert translation.remarks == [
        f"collectors.postgres.url: the secret is not copied: write it to {password_file}, readable by kgents alone",
        "collectors.postgres.url: left out: what follows `?`; TLS is set in collector-db.postgres.main.tls",
    ]
    assert translate({"collectors": {"postgres": {"enabled": True}}}).settings == {
        "collector-db": {"postgres": {"main": {}}}
    }


def test_what_is_switched_off_is_not_written() -> None:
    translation = translate({"collectors": {"docker": {"enabled": False, "socket": "unix:///x"}}})
    assert translation.settings == {}
    assert translation.remarks == ["collectors.docker: switched off: not written; do not run collector-docker"]


@pytest.mark.parametrize(
    ("path", "value", "kept", "remark"),
    [
        ("collectors.docker.poll_interval", 0.2, 1.0, "0.2 s becomes 1 s: ours allows 1 to 3600"),
        ("collectors.docker.poll_interval", "soon", None, "left out: expected a number, found str"),
        ("collectors.kubernetes.namespaces", "shop", None, "left out: expected a list of texts, found str"),
        ("collectors.docker.polling", 3, None, "unknown in this layout"),
        ("visuals.size", 3, None, "unknown in this layout"),
        ("database.statement_timeout_ms", "60000", 30.0, "60 s becomes 30 s: ours allows 1 to 30"),
        ("health.cpu_warning_threshold", 70, {"warn": 0.7, "crit": 0.9}, "70 is taken as 70 %"),
    ],
)
def test_what_does_not_fit_is_changed_or_left_out_and_said(path: str, value: Any, kept: object, remark: str) -> None:
    document: Any = value
    for part in reversed(path.split(".")):
        document = {part: document}
    translation = translate(document)
    assert len(translation.remarks) == 1
    assert translation.remarks[0].startswith(f"{path}: ")
    assert remark in translation.remarks[0]
    settings: Any = translation.settings
    while isinstance(settings, dict) and settings != kept and settings:
        (settings,) = settings.values()
    assert settings == (kept if kept is not None else {})


def test_a_section_without_content_says_nothing() -> None:
    assert translate({"alerts": None, "collectors": {}}) == Translation()


def test_the_text_is_yaml_that_says_the_same() -> None:
    settings = {"a": {"b": ["x: y", "#"], "c": "on"}, "d": {}, "e": 1.5, "f": None}
    text = yaml_text(settings, {("a",): "from a", ("a", "c"): "from c"}, heading="A heading.")
    assert yaml.safe_load(text) == settings
    assert "  # from a\n" in text
    assert text.startswith("# A heading.\n")


def test_the_short_form_of_alerts_is_a_receiver_each() -> None:
    found = translate({"alerts": {"enabled": True, "slack_webhook": "https://hooks.example/x", "pagerduty_key": "k"}})
    assert found.settings == {
        "alert-notifier": {
            "enabled": True,
            "slack_webhook_file": "/etc/kgents/secrets/slack-webhook",
            "pagerduty_key_file": "/etc/kgents/secrets/pagerduty-key",
        }
    }
    assert "hooks.example" not in str(found)
