"""Topology, health and alerts → OpenTelemetry's entity events, log records and metrics → an OTLP endpoint."""
