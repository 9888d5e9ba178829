"""Shared by all kgents services: contract (pure) → bus (NATS) → view (reading), runtime (process)."""
