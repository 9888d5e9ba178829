"""collector-host: a Linux machine → entities, connections, pulses."""
