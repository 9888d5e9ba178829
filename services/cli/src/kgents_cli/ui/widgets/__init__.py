"""Gauges of databases as Textual widgets: give one a pulse (`gauge.pulse = pulse`), and it shows it.

`readings` says what they show (pure), `gauges` draws it. `PostgresGauge()` works in any Textual app.
"""

from kgents_cli.ui.widgets.gauges import (
    BicameralCoherencyBar,
    DBMetricsPanel,
    Gauge,
    PostgresGauge,
    QdrantGauge,
    RedisGauge,
)

__all__ = ["BicameralCoherencyBar", "DBMetricsPanel", "Gauge", "PostgresGauge", "QdrantGauge", "RedisGauge"]
