"""Where OpenTelemetry's data comes in: receivers over gRPC and HTTP. All input of this service comes from here."""
