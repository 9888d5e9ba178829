"""The state of an edge's link → the hub's copies complete again → a heartbeat that says how far they are."""
