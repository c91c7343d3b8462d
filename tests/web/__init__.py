"""Tests of the web address."""
