"""Which proxy the environment names for a server, as Go programs, and so kubectl, understand the variables."""

from __future__ import annotations

import ipaddress
import urllib.request
from urllib.parse import urlsplit


def environment_proxy(server: str) -> str | None:
    """Give the proxy that HTTPS_PROXY and NO_PROXY name for a server, as Go programs understand them."""
    address = urlsplit(server)
    proxies = urllib.request.getproxies()
    proxy, host = proxies.get(address.scheme), address.hostname or ""
    if not proxy or urllib.request.proxy_bypass(f"{host}:{address.port}" if address.port else host, proxies):
        return None
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return proxy
    return None if ip.is_loopback or any(_holds(net.strip(), ip) for net in proxies.get("no", "").split(",")) else proxy


def _holds(network: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
