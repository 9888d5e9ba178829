"""A Docker engine (`/events`, `/containers`, …) → source → Inventory → mapping → entities, pulses, events → NATS."""
