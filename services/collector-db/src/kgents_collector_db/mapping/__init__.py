"""What samples mean: one package for each backend, each with a pure `observe(previous, current, scope) → Facts`."""
