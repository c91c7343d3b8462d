"""The whole way, on real servers: from an edit to a firing alert, a line in Loki and a trace in Jaeger."""
