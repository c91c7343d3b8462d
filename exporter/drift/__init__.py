"""Drift: would declaring an object again change it? Pure: manifests are read elsewhere, time is an argument."""
