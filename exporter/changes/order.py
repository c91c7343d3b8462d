"""Which of two resourceVersions is the older one, as far as that can be known. Pure.

A version means something only to the server that gave it. So it is compared for order only within one unbroken chain:
a list, or a place to resume from, and all that was watched since. Everywhere else only for equality.
"""

from __future__ import annotations


def is_older(version: str, than: str) -> bool:
    """Tell whether a version is known to be older than another one of the same chain; what is no number never is."""
    # Numbers without leading zeros (KEP-5504), of any length.
    return version.isdecimal() and than.isdecimal() and (len(version), version) < (len(than), than)
