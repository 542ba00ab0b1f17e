"""Sets of networks against the standard library's, one network at a time."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bsguard.core.networks import Networks, parse_address
from tests.property.support import addresses, looks, native

anywhere = addresses() | addresses("::/0")


@st.composite
def networks(draw: Any) -> Any:
    address = draw(anywhere)
    bits = draw(st.integers(0, address.max_prefixlen))
    return ipaddress.ip_network(f"{address}/{bits}", strict=False)


@st.composite
def close_to(draw: Any, network: Any) -> Any:
    """An address in, at the edge of, or just beside a network."""
    edge = int(draw(st.sampled_from([network.network_address, network.broadcast_address])))
    number = edge + draw(st.integers(-2, 2))
    kind = type(network.network_address)
    return kind(min(max(number, 0), (1 << network.max_prefixlen) - 1))


@looks(60)
@given(st.lists(networks(), max_size=8), st.data())
def test_an_address_is_in_the_set_when_it_is_in_one_of_the_networks(listed: list[Any], data: Any) -> None:
    found = Networks.parse(map(str, listed))
    address = data.draw(anywhere | st.sampled_from(listed).flatmap(close_to) if listed else anywhere)

    assert (address in found) is any(address in network for network in listed)
    assert bool(found) is bool(listed)
    assert Networks.parse(map(str, reversed(listed)))._starts == found._starts


@looks(60)
@given(native(50) | anywhere.map(str) | addresses().map(lambda four: f"::ffff:{four}"))
def test_any_text_is_an_address_as_the_standard_library_reads_it_or_none(text: str) -> None:
    found = parse_address(text)
    try:
        oracle = ipaddress.ip_address(text)
    except ValueError:
        assert found is None
        return
    if oracle.version == 6:
        assume(oracle.scope_id is None)
        oracle = oracle.ipv4_mapped or oracle

    assert found == oracle
    assert parse_address(str(found)) == found


@looks(60)
@given(addresses("::/0"), native(12).filter(lambda zone: zone and not set(zone) & set("%/")))
def test_a_zone_is_not_part_of_an_address(address: ipaddress.IPv6Address, zone: str) -> None:
    assert parse_address(f"{address}%{zone}") == parse_address(str(address))


def is_network(text: str) -> bool:
    try:
        return text == "unix" or bool(ipaddress.ip_network(text))
    except ValueError:
        return False


@looks(60)
@given(st.lists(native(20) | networks().map(str) | st.just("unix"), max_size=4))
def test_any_list_of_texts_is_a_set_or_says_which_item_is_not(items: list[str]) -> None:
    wrong = [position for position, item in enumerate(items, start=1) if not is_network(item.strip())]
    if wrong:
        with pytest.raises(ValueError, match=f"^item {wrong[0]} is not a network"):
            Networks.parse(items)
        return

    found = Networks.parse(items)
    assert found.text == tuple(item.strip() for item in items)
    assert found.unix is ("unix" in found.text)
    hash(found)
