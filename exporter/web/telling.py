"""What a web configuration means, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.tables import facts_as_lines


if TYPE_CHECKING:
    from exporter.web.config import WebConfig


def describe(config: WebConfig) -> list[str]:
    """Say who may see the web address, a line for each thing."""
    tls, rate = config.tls, config.rate
    facts = {"served as": "plain HTTP/1.1", "users": ", ".join(config.users) or "everybody"}
    if tls is not None:
        versions = " to ".join(dict.fromkeys((tls.min_version, tls.max_version)))
        facts |= {"served as": f"HTTP/1.1 over {versions}", "client certificates": tls.client_auth}
        facts["client names"] = ", ".join(tls.client_allowed_sans)
    facts["headers"] = ", ".join(config.http.headers)
    if rate.interval:
        facts["rate"] = f"a request each {rate.interval:g}s, {rate.burst} at once"
    return facts_as_lines(facts)
