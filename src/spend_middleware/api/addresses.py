"""IP addresses and networks: written in one way, compared as networks, and read behind trusted proxies only."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@lru_cache(maxsize=1024)
def network_of(text: str) -> Network | None:
    """Return the network that a text names, a single address being the smallest one; None when it names none.

    An IPv4 address inside IPv6 (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2) is the IPv4 address.
    """
    address = address_of(text)
    if address is not None:
        return ip_network(address)
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def address_of(text: str) -> Address | None:
    """Return the address that a text names, without a zone; None when it names none."""
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def written(network: Network) -> str:
    """Return the one way that a network is stored in: a single address without its length."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def within(address: Address | None, networks: Iterable[str]) -> bool:
    """Return whether an address lies in one of the networks; an unknown address lies in none."""
    if address is None:
        return False
    return any((network := network_of(text)) is not None and address in network for text in networks)


def client_address(peer: str | None, forwarded: str | None, trusted_proxies: Iterable[str]) -> Address | None:
    """Return where a request comes from.

    `X-Forwarded-For` is read from its right end, and only as long as the machine that wrote the entry is trusted:
    whatever a client itself put into the header is to the left of that and never counts.
    """
    address = address_of(peer) if peer else None
    trusted = tuple(trusted_proxies)
    hops = [hop for hop in (forwarded or "").split(",") if hop.strip()]
    while hops and within(address, trusted):
        address = address_of(hops.pop())
    return address
