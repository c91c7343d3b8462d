"""Tests against real servers; each is marked `integration`."""
