"""Databases as they see themselves: source → Sample → mapping.observe → entities, pulses, events → stream."""
