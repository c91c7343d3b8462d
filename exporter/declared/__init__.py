"""Reads declared manifests from directories, as kubectl reads them."""
