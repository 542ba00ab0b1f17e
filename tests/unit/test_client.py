"""Who is calling, and whether over HTTPS."""

from __future__ import annotations

from typing import Any

import pytest

from bsguard.core import client as client_module
from bsguard.core.client import (
    FORWARDED_HOPS_MAX,
    FORWARDING_KEYS,
    SCHEME_KEYS,
    Client,
    arrival_of,
    is_trusted,
    peer_of,
)
from bsguard.core.networks import NO_NETWORKS, Networks
from bsguard.testing import environ
from tests.unit.support import table

TRUSTED = Networks.parse(["10.0.0.0/8", "2001:db8:ffff::/48"])
UNIX = Networks.parse(["unix"])
FROM_PROXY = {"peer": "10.0.0.1"}


def client_of(sent: dict[str, Any], networks: Networks) -> Client:
    return client_module.client_of(arrival_of(sent), networks)


def seen(
    trusted: Networks = TRUSTED, forwarded_for: str | None = None, proto: str | None = None, **sent: Any
) -> Client:
    headers = {"X-Forwarded-For": forwarded_for, "X-Forwarded-Proto": proto}
    given = {name: value for name, value in headers.items() if value is not None}
    return client_of(environ(headers=given, **sent), trusted)


CHAINS: dict[str, tuple[str, str]] = {
    "one hop": ("192.0.2.7", "192.0.2.7"),
    "what the client wrote stands left": ("203.0.113.66, 192.0.2.7", "192.0.2.7"),
    "declared proxies are walked over": ("203.0.113.66, 192.0.2.7, 10.9.9.9, 10.8.8.8", "192.0.2.7"),
    "a declared proxy that the client names": ("10.1.2.3, 192.0.2.7", "192.0.2.7"),
    "only declared proxies": ("10.1.2.3, 10.9.9.9", "10.1.2.3"),
    "empty": ("", "10.0.0.1"),
    "garbage": ("sesame", "10.0.0.1"),
    "garbage left of a good hop": ("192.0.2.66, sesame, 10.9.9.9", "10.9.9.9"),
    "a port": ("192.0.2.7:4711", "192.0.2.7"),
    "six with a port": ("[2001:db8::7]:4711", "2001:db8::7"),
    "six in brackets": ("[2001:db8::7]", "2001:db8::7"),
    "six": ("2001:DB8::7", "2001:db8::7"),
    "four within six": ("::ffff:192.0.2.7", "192.0.2.7"),
    "a declared proxy as four within six": ("192.0.2.7, ::ffff:10.1.1.1", "192.0.2.7"),
    "without spaces": ("203.0.113.66,192.0.2.7", "192.0.2.7"),
    "empty hops": ("192.0.2.7,,10.9.9.9", "10.9.9.9"),
    "unknown": ("192.0.2.66, unknown", "10.0.0.1"),
    "more hops than anybody has": (", ".join(["192.0.2.7"] + ["10.9.9.9"] * FORWARDED_HOPS_MAX), "10.9.9.9"),
    "as many hops as allowed": (", ".join(["192.0.2.7"] + ["10.9.9.9"] * (FORWARDED_HOPS_MAX - 1)), "192.0.2.7"),
    "a hop at the very end of what is read": ("192.0.2.66," + "x" * 1012 + ",192.0.2.7", "192.0.2.7"),
    "a very long text": ("192.0.2.66," + "x" * 5000 + ",192.0.2.7", "192.0.2.7"),
}


@pytest.mark.parametrize(("forwarded_for", "address"), table(21, CHAINS))
def test_a_declared_proxy_is_believed_from_the_right(forwarded_for: str, address: str) -> None:
    assert seen(forwarded_for=forwarded_for, **FROM_PROXY).address == address


SCHEMES: dict[str, tuple[str | None, str, bool]] = {
    "https": ("https", "http", True),
    "in capitals": (" HTTPS ", "http", True),
    "the nearest proxy wrote the last": ("http, https", "http", True),
    "the client wrote the first": ("https, http", "https", False),
    "http over an encrypted connection": ("http", "https", False),
    "nothing over an encrypted connection": (None, "https", True),
    "nothing over a plain connection": (None, "http", False),
    "nonsense": ("httpss", "https", False),
}


@pytest.mark.parametrize(("proto", "scheme", "https"), table(8, SCHEMES))
def test_a_declared_proxy_says_the_scheme(proto: str | None, scheme: str, https: bool) -> None:
    client = seen(forwarded_for="192.0.2.7", proto=proto, **FROM_PROXY, **{"wsgi.url_scheme": scheme})

    assert client.https is https
    assert not client.local
    assert not client.undeclared_proxy


PEERS: dict[str, tuple[str, Networks, bool, bool]] = {
    "a public peer": ("192.0.2.7", TRUSTED, False, False),
    "this machine": ("127.0.0.1", TRUSTED, True, False),
    "this machine in six": ("::1", TRUSTED, True, False),
    "this machine, four within six": ("::ffff:127.0.0.1", TRUSTED, True, False),
    "this machine, declared as a proxy": ("127.0.0.1", Networks.parse(["127.0.0.1"]), False, False),
    "a private peer": ("10.0.0.1", NO_NETWORKS, False, False),
    "a socket": ("", NO_NETWORKS, False, False),
}


@pytest.mark.parametrize(("peer", "trusted", "local", "undeclared"), table(7, PEERS))
def test_without_forwarding_headers_the_peer_is_the_client(
    peer: str, trusted: Networks, local: bool, undeclared: bool
) -> None:
    client = seen(trusted, peer=peer)

    assert client.local is local
    assert client.undeclared_proxy is undeclared
    assert not client.https
    assert seen(trusted, peer=peer, **{"wsgi.url_scheme": "https"}).https
    assert client.address == (peer.removeprefix("::ffff:") or "unknown")


@pytest.mark.parametrize("key", sorted(FORWARDING_KEYS))
def test_any_forwarding_header_from_this_machine_says_that_a_proxy_is_undeclared(key: str) -> None:
    near = client_of(environ(**{key: "192.0.2.7", "wsgi.url_scheme": "https"}), NO_NETWORKS)
    far = client_of(environ(peer="9.9.9.9", **{key: "192.0.2.7", "wsgi.url_scheme": "https"}), NO_NETWORKS)

    assert near.address == "127.0.0.1"
    assert near.undeclared_proxy
    assert not near.local
    assert far.address == "9.9.9.9"
    assert not far.undeclared_proxy
    assert near.https is far.https is (key not in SCHEME_KEYS)


def test_there_are_as_many_forwarding_headers_as_were_looked_at() -> None:
    assert len(FORWARDING_KEYS) == 19
    assert len(SCHEME_KEYS) == 8
    assert FORWARDED_HOPS_MAX == 20


def test_what_proxy_fix_wrote_is_not_believed() -> None:
    fixed = environ(peer="203.0.113.66", headers={"X-Forwarded-For": "203.0.113.66"})
    fixed["wsgi.url_scheme"] = "https"
    fixed["werkzeug.proxy_fix.orig"] = {"REMOTE_ADDR": "192.0.2.7", "wsgi.url_scheme": "http"}
    client = client_of(fixed, TRUSTED)

    assert peer_of(fixed) == client.address == "192.0.2.7"
    assert not client.https


def test_a_declared_socket_is_believed_and_an_undeclared_one_is_not() -> None:
    declared = seen(UNIX, "192.0.2.7", "https", peer="")
    undeclared = seen(TRUSTED, "192.0.2.7", "https", peer="")

    assert (declared.address, declared.https, declared.undeclared_proxy) == ("192.0.2.7", True, False)
    assert (undeclared.address, undeclared.https, undeclared.undeclared_proxy) == ("unknown", False, True)
    assert seen(UNIX, "sesame", peer="").address == "unknown"


def test_six_is_counted_by_its_network_and_four_by_its_address() -> None:
    assert seen(peer="2001:db8:1:3:3:4:5:6").key == "2001:db8:1:3::/64"
    assert seen(peer="2001:db8:1:3::9").key == "2001:db8:1:3::/64"
    assert seen(peer="192.0.2.7").key == "192.0.2.7"
    assert seen(forwarded_for="2001:db8:5::9", **FROM_PROXY).key == "2001:db8:5::/64"
    assert seen(peer="nobody").key == "unknown"


def test_trust_is_by_address_and_for_sockets_by_word() -> None:
    assert is_trusted("10.1.1.1", TRUSTED)
    assert is_trusted("::ffff:10.1.1.1", TRUSTED)
    assert not is_trusted("11.0.0.0", TRUSTED)
    assert not is_trusted("", TRUSTED)
    assert not is_trusted("nobody", TRUSTED)
    assert is_trusted("", UNIX)
    assert not is_trusted("127.0.0.1", UNIX)
