"""Entities, and what changes of them → records and figures, as OpenTelemetry names them. Pure.

- `identity`: which entity of OpenTelemetry one of ours is.
- `state`: entity events.
- `change`: records of levels and alerts.
- `figure`: points of metrics.
"""
