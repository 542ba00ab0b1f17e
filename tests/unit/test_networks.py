"""Sets of networks."""

from __future__ import annotations

import ipaddress

import pytest

from bsguard.core.networks import NO_NETWORKS, Networks, parse_address
from tests.unit.support import table

ADDRESSES: dict[str, tuple[str, str | None]] = {
    "four numbers": ("192.0.2.1", "192.0.2.1"),
    "six": ("2001:DB8:0:0::1", "2001:db8::1"),
    "four within six": ("::ffff:192.0.2.1", "192.0.2.1"),
    "four within six in hexadecimal": ("::ffff:c000:201", "192.0.2.1"),
    "a zone": ("fe80::1%eth0", "fe80::1"),
    "nothing": ("", None),
    "a leading zero": ("192.0.2.01", None),
    "a space": (" 192.0.2.1", None),
    "a port": ("192.0.2.1:80", None),
    "brackets": ("[::1]", None),
    "a name": ("localhost", None),
    "too few numbers": ("192.0.2", None),
    "digits of another script": ("١٩٢.0.2.1", None),
    "as long a zone as is read": ("fe80::1%" + "a" * 56, "fe80::1"),
    "a zone without end": ("fe80::1%" + "a" * 57, None),
}


@pytest.mark.parametrize(("text", "expected"), table(15, ADDRESSES))
def test_addresses_are_read_exactly(text: str, expected: str | None) -> None:
    found = parse_address(text)

    assert (None if found is None else str(found)) == expected


def test_neighbours_are_merged_and_the_edges_are_exact() -> None:
    networks = Networks.parse(["10.0.1.0/24", "10.0.0.0/24", "10.0.0.128/25", "10.0.3.0/24", "::1"])
    within = ["10.0.0.0", "10.0.1.255", "10.0.3.0", "10.0.3.255", "::1"]
    outside = ["9.255.255.255", "10.0.2.0", "10.0.2.255", "10.0.4.0", "::", "::2", "0.0.0.1"]

    assert [text for text in within if parse_address(text) not in networks] == []
    assert [text for text in outside if parse_address(text) in networks] == []
    assert len(networks._starts) == 3
    assert networks.text == ("10.0.1.0/24", "10.0.0.0/24", "10.0.0.128/25", "10.0.3.0/24", "::1")


def test_versions_are_kept_apart_and_whole_versions_are_possible() -> None:
    four, six = Networks.parse(["0.0.0.0/0"]), Networks.parse(["::/0"])

    assert ipaddress.ip_address("255.255.255.255") in four
    assert ipaddress.ip_address("::1") not in four
    assert ipaddress.ip_address("0.0.0.1") not in six


def test_what_is_no_address_is_in_no_network() -> None:
    everything = Networks.parse(["0.0.0.0/0", "::/0", "unix"])

    assert None not in everything
    assert "10.0.0.1" not in everything
    assert 167772161 not in everything


def test_the_word_for_unix_sockets_is_kept_apart() -> None:
    networks = Networks.parse([" unix "])

    assert networks.unix
    assert networks
    assert parse_address("127.0.0.1") not in networks
    assert not NO_NETWORKS.unix
    assert not NO_NETWORKS


def test_equal_sets_have_equal_hashes() -> None:
    one, two = Networks.parse(["10.0.0.0/8"]), Networks.parse(["10.0.0.0/8"])

    assert one == two
    assert hash(one) == hash(two)
    assert one != Networks.parse(["unix"])


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "x", "", "10.0.0.0/8/8", "Unix"])
def test_a_bad_network_is_named_by_its_place(text: str) -> None:
    with pytest.raises(ValueError, match=r"^item 2 is not a network such as 10\.0\.0\.0/8") as caught:
        Networks.parse(["::1", text])

    assert caught.value.__cause__ is None


def test_a_network_written_as_six_that_holds_addresses_of_four_is_found() -> None:
    networks = Networks.parse(["::ffff:192.0.2.0/120"])

    assert parse_address("::ffff:192.0.2.1") in networks
    assert parse_address("192.0.2.255") in networks
    assert parse_address("192.0.1.255") not in networks
    assert parse_address("192.0.3.0") not in networks
    assert parse_address("192.0.2.1") in Networks.parse(["::ffff:0:0/96"])
