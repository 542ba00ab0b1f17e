"""Where an outgoing request may go: the URL is read once, its name resolved once, and the answer pinned.

A customer's webhook address and a provider's output address are text from outside. Whoever controls the text, or the
name in it, must not be able to point this server at its own network (server-side request forgery). So the check is
made on the resolved address, and the connection goes to exactly that address: a name that resolves differently the
second time gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

# Practice among browsers and proxies; longer addresses are not addresses of files or webhooks.
URL_LENGTH_MAX: Final = 2_048

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], tuple[str, ...]]
"""Turns a name and a port into numeric addresses; raises OSError if there are none."""

# What is not for the public although `is_global` of some Python says so.
_KEPT_BACK: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # Azure's wire server: public by number, answered by the cloud's own machinery
            "192.0.0.0/24",  # RFC 6890, protocol assignments; a metadata service on some clouds
            "192.88.99.0/24",  # RFC 7526, the 6to4 relays that were
            "64:ff9b:1::/48",  # RFC 8215, translation inside one network
            "100::/64",  # RFC 6666, discard
            "2001::/23",  # RFC 2928, protocol assignments, Teredo among them
            "3fff::/20",  # RFC 9637, documentation
            "5f00::/16",  # RFC 9602, segment routing
        ),
    )
)
# RFC 6052, section 2.1: the well-known prefix; the last 32 bits are an IPv4 address.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?\.?|[0-9a-f:.]{2,45}")
_PRINTABLE: Final = re.compile(r"[!-~]+", re.ASCII)
_PORTS: Final = {"https": 443, "http": 80}


class AddressRefused(Exception):
    """The request may not go there; nothing was sent. ``why`` is a fixed word and repeats nothing of the address."""

    def __init__(self, why: str) -> None:
        """Remember *why*."""
        self.why = why
        super().__init__(f"address refused: {why}")


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be reached.

    ``hosts`` are names, or ``*.name`` for all names below one; None means any. ``private`` also allows addresses
    that are not public and plain HTTP: for providers and customers on this machine, never for strangers' addresses.
    """

    hosts: tuple[str, ...] | None = None
    private: bool = False

    def allows_host(self, host: str) -> bool:
        """Whether requests may go to this name."""
        if self.hosts is None:
            return True
        return any(
            host == allowed or (allowed.startswith("*.") and host.endswith(allowed[1:])) for allowed in self.hosts
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address: connect to ``address``, speak to ``host``."""

    scheme: str
    host: str
    port: int
    path: str
    address: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def system_resolve(host: str, port: int) -> tuple[str, ...]:
    """Ask the machine's resolver, once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def check(url: str, reach: Reach, resolve: Resolve = system_resolve) -> Target:
    """Read, check and resolve *url*.

    Raises:
        AddressRefused: if it is no usable address, or one that may not be reached.
    """
    if len(url) > URL_LENGTH_MAX or not _PRINTABLE.fullmatch(url):
        raise AddressRefused("malformed")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise AddressRefused("malformed") from None
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host) or "@" in parts.netloc or port == 0:
        raise AddressRefused("malformed")
    if parts.scheme == "http" and not reach.private:
        raise AddressRefused("not_https")
    if not reach.allows_host(host):
        raise AddressRefused("host_not_allowed")
    port = port or _PORTS[parts.scheme]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path, _resolved(host, port, reach, resolve))


def _resolved(host: str, port: int, reach: Reach, resolve: Resolve) -> str:
    try:
        answers = resolve(host, port)
        addresses = [ipaddress.ip_address(answer) for answer in answers]
    except (OSError, ValueError):
        # ValueError is also what a name with an empty or overlong label gives.
        raise AddressRefused("unresolved") from None
    if not addresses:
        raise AddressRefused("unresolved")
    # One private address among public ones is a trap, not a mistake, so all must be public.
    if not reach.private and not all(is_public(address) for address in addresses):
        raise AddressRefused("not_public")
    return str(addresses[0])


def is_public(address: Address) -> bool:
    """Whether *address*, and every IPv4 address that it stands for, belongs to the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.sixtofour is not None:
            return is_public(address.sixtofour)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        # The deprecated site-local and IPv4-compatible forms lead nowhere that is wanted.
        if address.is_site_local or int(address) >> 32 == 0:
            return False
    kept_back = any(address in network for network in _KEPT_BACK)
    return address.is_global and not (address.is_multicast or address.is_reserved or kept_back)
