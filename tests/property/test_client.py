"""No client chooses its own address, whatever it writes."""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bsguard.core import client as client_module
from bsguard.core.client import FORWARDED_HOPS_MAX, FORWARDING_KEYS, SCHEME_KEYS, Client, arrival_of
from bsguard.core.networks import NO_NETWORKS, Networks, parse_address
from bsguard.testing import environ
from tests.property.support import Address, addresses, joined, looks, native

PROXIES = Networks.parse(["10.0.0.0/8", "fd00::/8"])
trusted = addresses("10.0.0.0/8") | addresses("fd00::/8")
strangers = (
    addresses("11.0.0.0/8") | addresses("192.0.2.0/24") | addresses("2001::/16") | addresses("::ffff:192.0.2.0/120")
)
hops = (
    native(20)
    | addresses().map(str)
    | addresses("::/0").map(str)
    | st.sampled_from(["unknown", "_hidden", "[::1]:80", "10.0.0.1:80", ""])
)
chains = native(60) | st.lists(hops, max_size=30).map(", ".join)
forwarding = st.dictionaries(st.sampled_from(sorted(FORWARDING_KEYS)), chains, min_size=1, max_size=5)
schemes = st.sampled_from(["http", "https"])


def client_of(sent: dict[str, Any], networks: Networks) -> Client:
    return client_module.client_of(arrival_of(sent), networks)


@looks(60)
@given(strangers, forwarding, schemes, st.sampled_from([PROXIES, NO_NETWORKS]))
def test_a_peer_that_is_no_declared_proxy_is_the_client_whatever_it_says(
    peer: Address, headers: dict[str, str], scheme: str, networks: Networks
) -> None:
    client = client_of(environ(peer=str(peer), **headers, **{"wsgi.url_scheme": scheme}), networks)

    assert client.address == str(parse_address(str(peer)))
    assert not client.local
    assert client.https is (scheme == "https" and SCHEME_KEYS.isdisjoint(headers))


@looks(60)
@given(trusted, st.lists(strangers | trusted, min_size=1, max_size=30))
def test_behind_declared_proxies_the_client_is_the_first_from_the_right_that_is_none(
    peer: Address, listed: list[Address]
) -> None:
    client = client_of(environ(peer=str(peer), headers={"X-Forwarded-For": ", ".join(map(str, listed))}), PROXIES)
    read = [parse_address(str(hop)) for hop in listed][-FORWARDED_HOPS_MAX:]
    expected = next((hop for hop in reversed(read) if hop not in PROXIES), read[0])

    if len(", ".join(map(str, listed))) <= 1024:
        assert client.address == str(expected)
    else:  # only the end of the header was read
        assert parse_address(client.address) in {*read, parse_address(str(peer))}


@looks(60)
@given(trusted, native(60), st.lists(trusted, max_size=5), strangers)
def test_what_the_client_wrote_stands_left_of_its_address_and_is_never_taken(
    peer: Address, written: str, between: list[Address], real: Address
) -> None:
    chain = ", ".join([written, str(real), *map(str, between)])
    client = client_of(environ(peer=str(peer), headers={"X-Forwarded-For": chain}), PROXIES)

    assert client.address == str(parse_address(str(real)))


@looks(60)
@given(native(30) | addresses().map(str) | addresses("::/0").map(str), forwarding | st.just({}), schemes, st.booleans())
def test_any_peer_and_any_headers_make_a_client_with_an_address_and_a_key(
    peer: str, headers: dict[str, str], scheme: str, unix: bool
) -> None:
    networks = Networks.parse(["10.0.0.0/8", *(["unix"] if unix else [])])
    client = client_of(environ(peer=peer, **headers, **{"wsgi.url_scheme": scheme}), networks)

    assert client.address == "unknown" or str(parse_address(client.address)) == client.address
    assert client.key == client.address or ipaddress.ip_address(client.address) in ipaddress.ip_network(client.key)
    assert not (client.local and (headers or client.undeclared_proxy))


@looks(60)
@given(trusted, joined("http", "https", ",", " ", "HTTPS", "s", "\t", "\xa0") | native(20))
def test_only_the_last_word_of_a_declared_proxy_is_its_own(peer: Address, written: str) -> None:
    for last in ("http", "https"):
        sent = environ(peer=str(peer), headers={"X-Forwarded-Proto": f"{written}, {last}"})
        assert client_of(sent, PROXIES).https is (last == "https")
