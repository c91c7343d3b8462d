"""What Prometheus sees: the change families, the exporter's own health, and the page that carries both."""
