"""Tests of how drift is judged."""
