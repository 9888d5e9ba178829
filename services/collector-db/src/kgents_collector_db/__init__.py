"""Polls databases by their own protocols: source → Sample → mapping.observe → entities, pulses, events → stream."""
