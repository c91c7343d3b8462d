"""Tests of the emulated API server."""
