"""Topology + pulses → reducer → scored entity → checks → score → `kgents.health.>` and `kgents.alert.>`.

Pure but for `app.py`: time comes in as an argument, messages come out of `Scorer.take`.

- `checks/`: the numbered catalogue, as data. What is judged, from which thresholds on, and why.
- `score.py`: a value and its thresholds → severity → score → level.
- `debounce.py`: the last three samples of one figure → which threshold counts as passed.
- `source.py`: one source of pulses of one entity, with a window for each figure.
- `verdict.py`: findings → a verdict.
- `scored_entity.py`: what is known of one entity → a verdict.
- `recurrence.py`, `history.py`: what was found before → which findings last, and how often it restarted.
- `family.py`, `kinship.py`: which entity owns which → one cause is one alert.
- `alerts.py`: verdicts one after another → the life of each alert.
- `aggregate.py`: the levels of all entities → the message of the cluster.
- `reducer.py`: inputs in, messages out; only what an input touched is judged again.
"""
