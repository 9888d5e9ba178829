"""OpenTelemetry's registry of names, checked in as data: names.txt → the test of the vocabulary."""
