"""Gauges of databases: what each shows of a pulse, and that what is not known is never a zero."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from textual.app import App, ComposeResult

from kgents_cli.ui.ink import Ink
from kgents_cli.ui.palette import COLOUR_BLIND, DARK, PALETTES, PLAIN, Palette
from kgents_cli.ui.widgets import (
    BicameralCoherencyBar,
    DBMetricsPanel,
    Gauge,
    PostgresGauge,
    QdrantGauge,
    RedisGauge,
)
from kgents_cli.ui.widgets.readings import LEVELS
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import PHASES, Collections, DatabasePulse, Memory, Pool

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pulse(backend: str, name: str, phase: str = "healthy", *, kind: str = "database", **more: Any) -> DatabasePulse:
    return DatabasePulse(
        ref=Ref("c1", kind, name, "shop"), source="db", backend=backend, timestamp=NOW, interval_s=10, phase=phase,
        **more,
    )  # fmt: skip


BUSY = pulse(
    "postgres", "orders", "overloaded", cause="connections",
    pool=Pool(active=11, idle=7, waiting=2, max=20, utilization=0.9), performance={"qps": 1234.5, "latency_ms": 2.345},
)  # fmt: skip
CACHE = pulse(
    "redis", "cache", memory=Memory(used_mb=300, max_mb=None),
    performance={"ops_per_second": 900.0, "hit_rate": 0.97, "latency_ms": 0.1},
)  # fmt: skip
VECTORS = pulse(
    "qdrant", "vectors", "starting", collections=Collections(count=3, vectors=1_000_000),
    performance={"searches_per_second": None, "latency_ms": 4.0},
)  # fmt: skip
COHERENCY = {
    "coherency_rate": 0.97, "coherency_rate_low": 0.958, "coherency_rate_high": 0.979, "coherency_missing": 30.0,
    "coherency_stale": None, "coherency_ghosts": 0.0,
}  # fmt: skip
ARTICLES = pulse("coherency", "articles", "degraded", kind="comparison", cause="rows without vector", custom=COHERENCY)
ALL_FOUR = (BUSY, CACHE, VECTORS, ARTICLES)


class Alone(App[None]):
    """An app of somebody else's."""

    def __init__(self, *shown: Gauge | DBMetricsPanel) -> None:
        super().__init__()
        self.shown = shown

    def compose(self) -> ComposeResult:
        yield from self.shown

    @property
    def lines(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]


async def lines_of(*gauges: Gauge, size: tuple[int, int] = (80, 12)) -> list[str]:
    app = Alone(*gauges)
    async with app.run_test(size=size):
        return app.lines


async def test_each_gauge_shows_its_figures_in_three_lines() -> None:
    gauges = (PostgresGauge(BUSY), RedisGauge(CACHE), QdrantGauge(VECTORS), BicameralCoherencyBar(ARTICLES))
    assert await lines_of(*gauges) == [
        "✖ overloaded  PostgreSQL shop/orders  connections",
        "pool ██████████░░ 18/20  2 waiting  11 active",
        "qps 1.23 k/s  latency 2.35 ms",
        "● healthy  Redis shop/cache",
        "memory ············ 315 MB, no limit",
        "hits 97 %  ops 900/s  latency 0.1 ms",
        "▲ starting  Qdrant shop/vectors",
        "vectors 1,000,000  collections 3",
        "searches –  latency 4 ms",
        "▲ degraded  Coherency shop/articles  rows without vector",
        "coherent ███████████░ 97 % (95.8–97.9)",
        "missing 30  stale –  ghosts 0",
    ]


@pytest.mark.parametrize("gauge", [PostgresGauge, RedisGauge, QdrantGauge, BicameralCoherencyBar, Gauge])
@pytest.mark.parametrize("is_read", [False, True])
async def test_what_is_not_known_is_a_dash_and_never_a_zero(gauge: type[Gauge], is_read: bool) -> None:
    unread = pulse("postgres", "orders", "degraded", cause="wrong credentials", unread=["*"])
    head, *rest = await lines_of(gauge(unread if is_read else None), size=(80, 3))
    assert head.startswith("? degraded" if is_read else "? no pulse yet")
    assert "–" in "".join(rest)
    assert not any(character.isdigit() or character in "█░" for character in "".join(rest))


async def test_limit_that_is_not_known_is_not_taken_for_none() -> None:
    unknown = pulse("redis", "cache", memory=Memory(used_mb=300), unread=["memory.max_mb"])
    assert (await lines_of(RedisGauge(unknown)))[1] == "memory ············ 315 MB of –"


async def test_gauge_of_an_app_of_ones_own_follows_its_pulse() -> None:
    gauge = PostgresGauge()
    app = Alone(gauge)
    async with app.run_test(size=(80, 3)) as pilot:
        assert "no pulse yet" in app.lines[0]
        gauge.pulse = BUSY
        await pilot.pause()
        assert "overloaded" in app.lines[0]


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
async def test_phases_differ_by_mark_word_and_colour(palette: Palette) -> None:
    for phase in PHASES:
        gauge = PostgresGauge(pulse("postgres", "orders", phase), ink=Ink(palette))
        app = Alone(gauge)
        async with app.run_test(size=(80, 3)):
            first = next(iter(gauge.render_line(0)))
        assert first.text.strip() == f"{Ink(palette).mark(LEVELS[phase])} {phase}"
        assert first.style == Ink(palette).of(LEVELS[phase])
        assert palette is PLAIN or palette.levels[LEVELS[phase]] in str(first.style)
    assert LEVELS.keys() == set(PHASES)


@pytest.mark.parametrize(("width", "columns"), [(40, 1), (75, 1), (80, 2), (120, 3), (200, 5)])
async def test_panel_has_as_many_columns_as_fit(width: int, columns: int) -> None:
    panel = DBMetricsPanel()
    app = Alone(panel)
    async with app.run_test(size=(width, 40)) as pilot:
        panel.show([], NOW)
        await pilot.pause()
        assert "no database" in app.lines[0]
        panel.show([pulse("postgres", f"orders-{number:02}") for number in range(60)], NOW)
        await pilot.pause()
        assert app.lines[0].count("PostgreSQL") == columns
        assert sum(line.count("PostgreSQL") for line in app.lines) >= min(60, 10 * columns), "of 40 rows"
        panel.show([BUSY], NOW)
        await pilot.pause()
        assert next(line for line in app.lines if line).startswith("✖ overloaded")
        assert not any("orders-" in line for line in app.lines)


async def test_panel_keeps_the_order_of_names_and_marks_what_is_old() -> None:
    panel = DBMetricsPanel(ink=Ink(COLOUR_BLIND, is_ascii=True))
    app = Alone(panel)
    async with app.run_test(size=(60, 20)) as pilot:
        for shown in (ALL_FOUR[:1], ALL_FOUR[1:2], ALL_FOUR):
            panel.show(shown, NOW + timedelta(seconds=30))
            await pilot.pause()
        assert heads(app.lines) == ["Coherency", "PostgreSQL", "Qdrant", "Redis"]
        assert "coherent ###########- 97 %" in app.lines[1]
        panel.show(ALL_FOUR, NOW + timedelta(seconds=31))
        await pilot.pause()
        assert sum("? no pulse for 31s" in line for line in app.lines) == 4


def heads(lines: Iterable[str]) -> list[str]:
    return [name for line in lines for name in ("Coherency", "PostgreSQL", "Qdrant", "Redis") if f" {name} " in line]


async def test_names_that_are_code_are_text() -> None:
    hostile = (
        "x[red]y",
        "[/nope]",
        "[@click=app.quit]z[/]",
        "e\x1b[31msc",
        "rtl\u202eevil",
        "広い名前" * 20,
        "a\nb\r\n",
    )
    panel = DBMetricsPanel(ink=Ink(DARK))
    app = Alone(panel)
    async with app.run_test(size=(70, 40)) as pilot:
        panel.show([pulse("postgres", name, "degraded", cause=name) for name in hostile], NOW)
        await pilot.pause()
        assert not {"\x1b", "\u202e", "\r"} & set("".join(app.lines))
        assert any("shop/[/nope]" in line for line in app.lines)
        assert any("[@click=app.quit]z[/]" in line for line in app.lines)
        assert all(strip.cell_length == 70 for strip in app.screen._compositor.render_strips())
