"""Vocabulary and catalogue of checks → what Prometheus and Grafana read, under deploy/observability.

- `panels.py`: how a panel is described.
- `boards.py`, `databases.py`: which panels each dashboard has.
- `grafana.py`: a description → the JSON of a dashboard.
- `rules.py`: alert rules of Prometheus: the pipeline itself, and one for each check.
- `files.py`: path → the function that writes it; `python -m reference` touches the files.
"""
