"""Tests of what is sent over OTLP, and how."""
