"""Versions of health, topology, alerts and incidents over a stretch of time → how available entities were."""
