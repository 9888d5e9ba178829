"""Dashboards have the form that Grafana reads, rules fire when they should, and metrics have names of their own."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from kgents_shared.contract.pulse import DatabasePulse, ResourcePulse
from kgents_shared.contract.vocabulary.figures.metric import METRICS
from kgents_shared.runtime.series import LastFigures
from reference.runbook import CHECKS
from support.build import make_ref
from support.health_inputs import START
from support.programs import need

FOLDER = Path(__file__).parents[2] / "deploy" / "observability"
RULES = FOLDER / "prometheus" / "rules.yml"
BOARDS = {
    path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))
}
UNITS = {"short", "bytes", "Bps", "s", "percentunit", "bool_yes_no", "ops"}
THE_MISSIONS = (
    "postgres_up", "postgres_connections", "postgres_locks", "postgres_transaction_duration_seconds",
    "postgres_transaction_rate", "redis_up", "redis_connected_clients", "redis_memory_used_bytes",
    "redis_commands_per_second", "qdrant_up", "qdrant_collections_count", "qdrant_request_duration_seconds",
    "qdrant_queries_per_second",
)  # fmt: skip


def overlapping(panels: list[dict[str, Any]]) -> list[tuple[int, int]]:
    cells: dict[tuple[int, int], int] = {}
    placed = ((panel["id"], cell) for panel in panels for cell in covered(panel["gridPos"]))
    return [(other, id_) for id_, cell in placed if (other := cells.setdefault(cell, id_)) != id_]


def covered(at: dict[str, int]) -> Iterator[tuple[int, int]]:
    return product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_has_the_form_that_grafana_reads(name: str) -> None:
    board = BOARDS[name]
    panels = board["panels"]
    assert board["uid"] == f"kgents-{name}"
    assert re.fullmatch(r"[\w-]{1,40}", board["uid"])
    assert board["schemaVersion"] >= 36
    assert Counter(panel["id"] for panel in panels).most_common(1)[0][1] == 1
    assert all(panel["gridPos"]["x"] >= 0 and panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    assert overlapping(panels) == []
    shown = [panel for panel in panels if panel["type"] != "row"]
    assert {panel["type"] for panel in shown} <= {"timeseries", "stat", "table"}
    assert {panel["fieldConfig"]["defaults"]["unit"] for panel in shown} <= UNITS
    assert all(panel["targets"] and panel["datasource"]["uid"] == "${datasource}" for panel in shown)
    variables = {each["name"] for each in board["templating"]["list"]}
    assert {each for panel in shown for each in re.findall(r"\$(\w+)", panel["targets"][0]["expr"])} <= variables


def test_there_is_a_dashboard_for_each_part() -> None:
    assert set(BOARDS) == {"pipeline", "overview", "postgresql", "redis", "qdrant", "nats", "docker", "kubernetes"}


def test_no_two_figures_are_one_metric_and_the_missions_names_are_kept() -> None:
    names = Counter(metric.name for metric in METRICS.values())
    assert [name for name, count in names.items() if count > 1] == []
    assert set(THE_MISSIONS) <= set(names)


def test_a_rule_for_each_check_leads_to_its_page() -> None:
    _, checks = yaml.safe_load(RULES.read_text())["groups"]
    assert {rule["alert"] for rule in checks["rules"]} == {check.id for check in CHECKS if check.alerts}
    assert all(rule["annotations"]["runbook_url"].endswith(f"/{rule['alert']}.md") for rule in checks["rules"])


def test_rules_fire_for_what_is_absent_and_for_what_a_check_found(tmp_path: Path) -> None:
    well = [
        {"series": 'up{job="kgents-x", instance="a"}', "values": "1x20"},
        {"series": 'target_info{job="kgents-x", instance="a", service_name="topology-builder"}', "values": "1x20"},
        {"series": 'target_info{job="kgents-x", instance="b", service_name="health-scorer"}', "values": "1x20"},
        {"series": 'kgents_health_status{cluster="prod", status="healthy"}', "values": "1x20"},
        {"series": 'kgents_in_sync{job="kgents-x", instance="a"}', "values": "1x20"},
        {"series": 'kgents_bus_connected{job="kgents-x", instance="a"}', "values": "1x20"},
    ]
    found = [
        {"series": 'kgents_alerts_firing{cluster="prod", check="KG-301", severity="critical"}', "values": "2x20"},
        {"series": 'kgents_in_sync{job="kgents-x", instance="b"}', "values": "0x20"},
    ]
    absent = {
        "KgentsNothingScraped",
        "KgentsTopologyBuilderMissing",
        "KgentsHealthScorerMissing",
        "KgentsHealthUnknown",
    }
    assert fired(tmp_path, well) == set()
    assert fired(tmp_path, []) == absent
    assert fired(tmp_path, [*well, *found]) == {"KG-301", "KgentsNotInSync"}


def fired(folder: Path, series: list[dict[str, str]]) -> set[str]:
    """The alerts that fire after ten minutes, by what promtool has against expecting none."""
    names = [rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    tests = [{"eval_time": "10m", "alertname": name, "exp_alerts": []} for name in names]
    unit = {"interval": "1m", "input_series": series, "alert_rule_test": tests}
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [unit]}))
    done = subprocess.run(
        [str(need("promtool")), "test", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    return set(re.findall(r"alertname: ?([\w-]+)", done.stdout + done.stderr))


def test_figures_are_shown_for_the_chosen_kinds_only_within_a_bound_and_not_when_old() -> None:
    now_s = [0.0]
    figures = LastFigures(["database"], max_entities=2, monotonic_s=lambda: now_s[0])

    def database(name: str) -> DatabasePulse:
        return DatabasePulse(
            ref=make_ref(name, kind="database"), source="db", backend="postgresql", timestamp=START, interval_s=10.0,
            phase="healthy", performance={"latency_ms": 5.0, "qps": None}, custom={"postgres_up": 1.0, "mine": 3.0},
        )  # fmt: skip

    figures.take(ResourcePulse(ref=make_ref("a"), source="k8s", timestamp=START, interval_s=10.0, cpu_percent=50.0))
    for name in ("one", "two", "three"):
        figures.take(database(name))

    shown = list(figures())
    assert {(each.name, each.labels.get("name"), each.value) for each in shown} == {
        ("postgres_up", "one", 1.0), ("kgents_performance_latency_seconds", "one", 0.005),
        ("postgres_up", "two", 1.0), ("kgents_performance_latency_seconds", "two", 0.005),
        ("kgents_figures_left_out_entities", None, 1),
    }  # fmt: skip
    now_s[0] = 29.0
    figures.take(database("two"))
    now_s[0] = 31.0
    assert {each.labels.get("name") for each in figures()} == {"two", None}


def test_without_a_kind_there_is_no_series() -> None:
    figures = LastFigures([], max_entities=2, monotonic_s=lambda: 0.0)
    figures.take(ResourcePulse(ref=make_ref("a"), source="k8s", timestamp=START, interval_s=10.0, cpu_percent=50.0))
    assert list(figures()) == []
