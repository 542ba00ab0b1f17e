"""Sets of IP networks with a fast look-up: merged ranges and bisection."""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_ADDRESS_CHARS_MAX: Final = 64  # the longest IPv6 text has 45, and a zone may follow

_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")

#: The 96 bits before the IPv4 address, 64:ff9b::/96.
_NAT64: Final = 0x0064_FF9B_0000_0000_0000_0000

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(text: str) -> Address | None:
    """The address that *text* spells; None if it spells none.

    An IPv4 address in IPv6 clothes is IPv4: mapped (RFC 4291 §2.5.5.2), or translated by NAT64 (RFC 6052 §2.1). Behind
    a translator all clients of the IPv4 internet would else be one /64.
    """
    return _parse_address(text) if len(text) <= _ADDRESS_CHARS_MAX else None


@lru_cache(maxsize=4096)  # parsing costs some microseconds, and the same clients come again
def _parse_address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:  # fe80::1%eth0: the zone is the server's own affair
            address = ipaddress.IPv6Address(int(address))
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if int(address) >> 32 == _NAT64 and (inner := ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)).is_global:
            return inner  # RFC 6052 §3.1: the prefix never stands before an address that is not global
    return address


@dataclass(frozen=True, slots=True)
class Networks:
    """An immutable set of networks. ``address in networks`` is a bisection; what is no address is not in it."""

    #: The networks as they were written, for display.
    text: tuple[str, ...]
    #: Peers on a Unix socket have no address; the word ``unix`` in the list stands for them.
    unix: bool
    _starts: tuple[tuple[int, int], ...]
    _ends: tuple[tuple[int, int], ...]
    #: Worked out once: a set of networks is part of the keys of caches that every request asks.
    _hash: int

    @classmethod
    def parse(cls, items: Iterable[str]) -> Networks:
        """Build from CIDR notation, single addresses and ``unix``; ValueError names the position of a bad one."""
        written: list[str] = []
        ranges: list[tuple[tuple[int, int], tuple[int, int]]] = []
        unix = False
        for position, item in enumerate(items, start=1):
            text = item.strip()
            written.append(text)
            if text == "unix":
                unix = True
                continue
            try:
                network = ipaddress.ip_network(text)
            except ValueError:
                raise ValueError(f"item {position} is not a network such as 10.0.0.0/8 (no host bits set)") from None
            if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
                # Addresses of IPv4 written as IPv6 are known by their IPv4 form, so their networks are too.
                network = ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
            version = network.version
            ranges.append(((version, int(network.network_address)), (version, int(network.broadcast_address))))
        starts: list[tuple[int, int]] = []
        ends: list[tuple[int, int]] = []
        for start, end in sorted(ranges):
            if starts and start[0] == ends[-1][0] and start[1] <= ends[-1][1] + 1:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(start)
                ends.append(end)
        return cls(tuple(written), unix, tuple(starts), tuple(ends), hash((unix, *starts, *ends)))

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
            return False
        key = (address.version, int(address))
        index = bisect_right(self._starts, key) - 1
        return index >= 0 and key <= self._ends[index]

    def __hash__(self) -> int:
        return self._hash

    def __bool__(self) -> bool:
        return bool(self._starts) or self.unix


NO_NETWORKS: Final = Networks.parse(())
