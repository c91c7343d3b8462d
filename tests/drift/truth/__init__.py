"""The ground on which drift is judged: what real tools and people do to an object of a real API server.

`pump` is the object and its type, `declarers` are those who declare it, `rows` is what happens to it then, `expected`
says what is to be made of each, and `recorded` holds the versions that a real API server gave for each
(`python -m tests.drift.truth.record` makes them anew). Nothing here may import the code that it judges.
"""
