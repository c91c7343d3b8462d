"""The journal: one SQLite file to which every change is committed once and from which every output reads."""
