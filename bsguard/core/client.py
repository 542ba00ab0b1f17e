"""Who is calling, and whether over HTTPS: believed from declared proxies only.

The peer's own address is the one fact that a client cannot write. Everything else is a header, and a header counts
only when the peer that handed it to us is a declared proxy (``BSGUARD_TRUSTED_PROXIES``). The walk goes from the
right, over declared proxies, to the first address that is not one: that is the client. The leftmost value is what the
client itself wrote and is never taken.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from bsguard.core.networks import Networks, parse_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bsguard.core.networks import Address

#: Headers from which servers set ``wsgi.url_scheme`` by themselves: beside one of them the scheme proves nothing.
SCHEME_KEYS: Final = frozenset(
    {
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_FORWARDED_PROTOCOL",
        "HTTP_X_FORWARDED_SSL",
        "HTTP_X_FORWARDED_SCHEME",
        "HTTP_X_SCHEME",
        "HTTP_X_URL_SCHEME",
        "HTTP_FRONT_END_HTTPS",
        "HTTP_FORWARDED",
    }
)

#: Headers that only a proxy has reason to send. A loopback peer that sends one is a proxy nobody declared.
FORWARDING_KEYS: Final = SCHEME_KEYS | {
    "HTTP_X_FORWARDED",
    "HTTP_X_FORWARDED_BY",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_FORWARDED_SERVER",
    "HTTP_X_REAL_IP",
    "HTTP_CF_CONNECTING_IP",
    "HTTP_TRUE_CLIENT_IP",
    "HTTP_VIA",
}

#: Longer chains are no real deployment; the rest of the list is not read.
FORWARDED_HOPS_MAX: Final = 20
#: The end of the header is read, up to here: room for all those hops, and a bound on what the caches below can hold.
_FORWARDED_CHARS_MAX: Final = 1024

_IPV6_NETWORK_BITS: Final = 64  # one subscriber has a /64 at the least (RFC 6177), so single addresses mean nothing


@dataclass(frozen=True, slots=True)
class Client:
    """The caller, as far as it can be known.

    ``address`` is never empty: a peer without an address (a Unix socket that is not declared) is ``"unknown"``.
    """

    #: Normalised text of the client's address.
    address: str
    #: What limits and bans count by: the address, or the /64 of an IPv6 address.
    key: str
    #: Whether the request came over HTTPS, as far as a trusted source says.
    https: bool
    #: A loopback peer with no forwarding header: a person or program on this machine.
    local: bool
    #: Forwarding headers from a peer on this machine or a private network that is not a declared proxy.
    undeclared_proxy: bool


class Arrival(NamedTuple):
    """What of a request says who sent it, as it stood when the request came in."""

    peer: str
    #: Whether the server itself knows that the connection is HTTPS.
    https: bool
    #: Whether any forwarding header is there.
    forwarding: bool
    forwarded_for: str
    forwarded_proto: str


def arrival_of(environ: Mapping[str, object]) -> Arrival:
    """Read from the raw peer even where ``ProxyFix`` has rewritten the environ."""
    raw = _before_proxy_fix(environ)
    peer = str(raw.get("REMOTE_ADDR") or "")
    https = raw.get("wsgi.url_scheme") == "https"
    if FORWARDING_KEYS.isdisjoint(environ):
        return Arrival(peer, https, forwarding=False, forwarded_for="", forwarded_proto="")
    return Arrival(
        peer,
        https and SCHEME_KEYS.isdisjoint(environ),
        forwarding=True,
        forwarded_for=str(environ.get("HTTP_X_FORWARDED_FOR", ""))[-_FORWARDED_CHARS_MAX:],
        forwarded_proto=str(environ.get("HTTP_X_FORWARDED_PROTO", ""))[-_FORWARDED_CHARS_MAX:],
    )


@lru_cache(maxsize=1024)
def client_of(arrival: Arrival, trusted: Networks) -> Client:
    """The client of a request, when *trusted* are the declared proxies."""
    address = parse_address(arrival.peer)
    declared = is_trusted(arrival.peer, trusted)
    if not arrival.forwarding or not declared:
        near = address is None or address.is_loopback or address.is_private
        return Client(
            address=_text(address),
            key=key_of(address),
            https=arrival.https,
            local=not arrival.forwarding and not declared and address is not None and address.is_loopback,
            undeclared_proxy=arrival.forwarding and near,
        )
    client = address
    for hop in reversed(arrival.forwarded_for.split(",")[-FORWARDED_HOPS_MAX:]):
        named = parse_address(_without_port(hop.strip()))
        if named is None:  # garbage: everything left of it is worth no more, the last good hop stands
            break
        client = named
        if named not in trusted:
            break
    # A declared proxy says the scheme; the nearest one wrote the last value. Where it says none, its own connection
    # counts.
    said = arrival.forwarded_proto.rpartition(",")[2].strip().lower()
    return Client(
        address=_text(client),
        key=key_of(client),
        https=said == "https" if arrival.forwarded_proto else arrival.https,
        local=False,
        undeclared_proxy=False,
    )


def peer_of(environ: Mapping[str, object]) -> str:
    """The address of whoever holds the connection, as the server gave it; empty on a Unix socket."""
    return str(_before_proxy_fix(environ).get("REMOTE_ADDR") or "")


def _before_proxy_fix(environ: Mapping[str, object]) -> Mapping[str, object]:
    """What the server set, where Werkzeug's ProxyFix has put a header's word in its place."""
    original = environ.get("werkzeug.proxy_fix.orig")
    return original if isinstance(original, dict) else environ


def is_trusted(peer: str, trusted: Networks) -> bool:
    """Whether *peer* is a declared proxy."""
    return parse_address(peer) in trusted if peer else trusted.unix


def _without_port(hop: str) -> str:
    """The address in ``192.0.2.1:443``, ``[2001:db8::1]:443`` or without port; some proxies add one."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _text(address: Address | None) -> str:
    return "unknown" if address is None else str(address)


def key_of(address: Address | None) -> str:
    """What limits and bans count *address* by: itself, or the /64 of an IPv6 address."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(address) >> _IPV6_NETWORK_BITS << _IPV6_NETWORK_BITS, 64)))
    return _text(address)
