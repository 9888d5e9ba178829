"""Reports of NATS servers: source → Sample → mapping.observe → entities, pulses, events → state table."""
