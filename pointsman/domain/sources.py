"""Where a request comes from, as far as it can be believed: the connection's own address, or what a known proxy says.

`X-Forwarded-For` grows to the right: each proxy adds the address that it was called from. Whatever stands left of the
last address that a known proxy has added may be invented by the caller, and is not looked at.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks such as `203.0.113.0/24`; a single address is one of its own.

    Raises:
        ValueError: one of them is no network.
    """
    return tuple(ip_network(text) for text in texts)


def source_of(peer: str, forwarded: Sequence[str], proxies: Sequence[Network]) -> Address | None:
    """Address of the caller; None where it cannot be told. `forwarded` are the headers' values in their order."""
    source = _address(peer)
    told = [entry for value in forwarded for entry in value.split(",")]
    while source is not None and within(source, proxies) and told:
        source = _address(told.pop())
    return source


def within(source: Address | None, allowed: Sequence[Network]) -> bool:
    return source is not None and any(source in network for network in allowed)


def _address(text: str) -> Address | None:
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]  # some proxies add the port
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
