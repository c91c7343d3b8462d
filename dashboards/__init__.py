"""Dashboards, rules and runbooks for what the exporter tells. Nothing here is part of the installed program."""
