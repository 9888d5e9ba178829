"""A Kubernetes cluster as it sees itself: reflectors → objects → mapping → inventory → entities, pulses, events."""
