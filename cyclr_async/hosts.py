"""Which hosts may be spoken to over plain http: this machine, and those that a setting names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from yarl import URL

from cyclr_async.errors import ConfigurationError

__all__ = ["canonical_host", "is_loopback", "plain_http_hosts"]

# What is left of a host name after IDNA: anything else (wildcards, percent escapes, blanks) names no host exactly.
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_OWN_DOMAINS: Final = ("cyclr.com", "cyclr.uk")
"""Domains of the service itself, which speaks https: a token in clear text to one of them is always a mistake."""


def canonical_host(host: str) -> str:
    """Return a host as it is compared: IDNA-encoded, in lower case, without a trailing dot; "" when it is no host.

    Args:
        host: a name or an address, an IPv6 address with or without brackets.
    """
    text = host.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        # yarl does it, because yarl also decides where a request goes: two opinions would be a hole.
        found = URL.build(scheme="http", host=text).raw_host
    except ValueError:
        return ""
    found = (found or "").rstrip(".")
    return found if _address(found) is not None or _NAME.fullmatch(found) else ""


def is_loopback(host: str | None) -> bool:
    """Tell whether a host is this machine whatever a name server says: ``localhost`` or a loopback address.

    Names below ``.localhost`` are not: not every resolver keeps them on the machine.
    """
    found = canonical_host(host or "")
    if found == "localhost":
        return True
    address = _address(found)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # Python 3.11 does not look through the mapping
    return address is not None and address.is_loopback


def plain_http_hosts(names: Iterable[str]) -> frozenset[str]:
    """Check the hosts that a setting allows plain http for, and return them in canonical form.

    Args:
        names: exact host names or addresses, such as ``("simulator",)``; no wildcard, no port, no URL.

    Raises:
        ConfigurationError: a name is not exactly one host, or belongs to the service, which speaks https.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ConfigurationError("http_hosts is a sequence of host names, such as ('simulator',), not one text")
    found = set()
    for name in names:
        host = canonical_host(name) if isinstance(name, str) else ""
        address = _address(host)
        if not host or (address is not None and address.is_unspecified):
            raise ConfigurationError(
                f"{str(name)[:80]!r} is not the name of one host: give exact names such as simulator, without "
                "scheme, port or wildcard"
            )
        if any(host == domain or host.endswith(f".{domain}") for domain in _OWN_DOMAINS):
            raise ConfigurationError(f"plain http is never used for {host}: it belongs to Cyclr, which speaks https")
        found.add(host)
    return frozenset(found)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
