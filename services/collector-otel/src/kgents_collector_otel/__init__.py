"""OpenTelemetry in: source (OTLP) → mapping (spans → pairs → windows) → entities, traffic pulses → streams."""
