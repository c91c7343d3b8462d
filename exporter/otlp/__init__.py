"""OTLP: the changes as log records, sent to an OpenTelemetry endpoint."""
