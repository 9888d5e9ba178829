"""What NATS servers report: source → Sample → mapping.observe → entities, pulses, events → state table."""
