"""Tests of the reading of declared manifests."""
