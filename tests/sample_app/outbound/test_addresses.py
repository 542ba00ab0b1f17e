"""Where outgoing requests may go, by table: what is refused, what is not, and that the checked address is used."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app.outbound.addresses import AddressRefused, Reach, check, is_public


def resolving(*addresses: str):
    return lambda _host, _port: addresses


PUBLIC = resolving("93.184.216.34")

NOT_PUBLIC = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "203.0.113.9",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::",
    "2002:a9fe:a9fe::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]  # fmt: skip

PUBLIC_ADDRESSES = ["93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_inside_is_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))

    with pytest.raises(AddressRefused) as caught:
        check("https://hooks.example/x", Reach(), resolving(address))

    assert caught.value.why == "not_public"


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_is_reached(address: str) -> None:
    assert check("https://hooks.example/x", Reach(), resolving(address)).address == str(ipaddress.ip_address(address))


def test_all_addresses_were_there() -> None:
    assert (len(NOT_PUBLIC), len(PUBLIC_ADDRESSES)) == (36, 6)


def test_one_inside_address_among_public_ones_is_enough() -> None:
    with pytest.raises(AddressRefused, match="not_public"):
        check("https://hooks.example/", Reach(), resolving("93.184.216.34", "127.0.0.1"))


MALFORMED = [
    ("", "malformed"),
    ("hooks.example", "malformed"),
    ("ftp://hooks.example/", "malformed"),
    ("file:///etc/passwd", "malformed"),
    ("https:///path", "malformed"),
    ("https://user@hooks.example/", "malformed"),
    ("https://user:pass@hooks.example/", "malformed"),
    ("https://hooks.example@127.0.0.1/", "malformed"),
    ("https://hooks.example:0/", "malformed"),
    ("https://hooks.example:99999/", "malformed"),
    ("https://hooks.example:x/", "malformed"),
    ("https://hooks.example/a b", "malformed"),
    ("https://hooks.example/\r\nHost: x", "malformed"),
    ("https://hooks.example/\x00", "malformed"),
    ("https://h\u00f6st.example/", "malformed"),
    ("https://[::1", "malformed"),
    ("https://[fe80::1%25eth0]/", "malformed"),
    ("https://hooks.example/" + "a" * 2_048, "malformed"),
    ("https://hooks.example\\@evil.example/", "malformed"),
    ("http://hooks.example/", "not_https"),
]


@pytest.mark.parametrize(("url", "why"), MALFORMED)
def test_is_no_address(url: str, why: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        check(url, Reach(), PUBLIC)

    assert caught.value.why == why


def test_all_malformed_ones_were_there() -> None:
    assert len(MALFORMED) == 20


@pytest.mark.parametrize("url", ["https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://[::1]/"])
def test_other_spellings_of_loopback_are_judged_by_what_they_resolve_to(url: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        check(url, Reach())

    assert caught.value.why in ("not_public", "unresolved")


def test_a_name_is_resolved_once_and_its_answer_kept() -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> tuple[str, ...]:
        asked.append(host)
        return ("93.184.216.34",) if len(asked) == 1 else ("127.0.0.1",)

    target = check("https://Rebind.Example:8443/a?b=1#c", Reach(), resolve)

    assert (target.address, target.host, target.port, target.path) == (
        "93.184.216.34",
        "rebind.example",
        8443,
        "/a?b=1",
    )
    assert target.authority == "rebind.example:8443"
    assert asked == ["rebind.example"]


def test_hosts_are_compared_whole() -> None:
    reach = Reach(hosts=("replicate.delivery", "*.replicate.delivery"))

    assert reach.allows_host("replicate.delivery")
    assert reach.allows_host("pb.xezq.replicate.delivery")
    for host in ("evilreplicate.delivery", "replicate.delivery.evil.example", "delivery", ""):
        assert not reach.allows_host(host)
    with pytest.raises(AddressRefused, match="host_not_allowed"):
        check("https://evil.example/", reach, PUBLIC)


def test_private_addresses_and_http_only_where_allowed() -> None:
    target = check("http://127.0.0.1:9000/x", Reach(private=True))

    assert (target.scheme, target.address, target.port, target.authority) == (
        "http",
        "127.0.0.1",
        9000,
        "127.0.0.1:9000",
    )


def test_a_name_without_address_is_refused() -> None:
    def fails(_host: str, _port: int) -> tuple[str, ...]:
        raise OSError

    for resolve in (fails, resolving(), resolving("fe80::1%eth0x"), resolving("nonsense")):
        with pytest.raises(AddressRefused):
            check("https://hooks.example/", Reach(), resolve)


@given(st.text(max_size=80) | st.from_regex(r"https?://[^ ]{0,60}", fullmatch=True))
def test_any_text_is_an_address_or_is_refused(url: str) -> None:
    try:
        target = check(url, Reach(), PUBLIC)
    except AddressRefused:
        return

    assert target.scheme == "https"
    assert target.path.startswith("/")
    assert target.path.isascii()


@given(st.ip_addresses())
def test_what_is_public_is_nothing_that_the_standard_library_calls_private(address) -> None:
    if is_public(address):
        assert not any((address.is_private, address.is_loopback, address.is_link_local, address.is_multicast))
