"""collector-docker."""
