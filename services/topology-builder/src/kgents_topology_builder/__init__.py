"""Entities of all collectors → graph.py (who is whose peer) → reducer.py → the merged, resolved topology."""
