"""What kgents services must agree on: contract (pure) → bus (NATS) → runtime (process)."""
