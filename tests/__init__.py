"""The tests: they mirror the package `exporter`; what needs real servers is in `integration`."""
