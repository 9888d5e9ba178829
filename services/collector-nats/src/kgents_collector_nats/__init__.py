"""What NATS servers tell of themselves: source → Sample → mapping.observe → entities, pulses, events → state table."""
