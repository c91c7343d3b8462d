"""Tests of what is read again while the program runs."""
