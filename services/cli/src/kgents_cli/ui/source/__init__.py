"""Where a dashboard reads: NATS, a gateway, a recording. Screens know nothing of the difference."""
