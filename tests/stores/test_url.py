"""What ``BSGUARD_STORE`` may say, and what becomes of what it may not."""

from __future__ import annotations

import pytest

from bsguard.core.config import Wanted
from bsguard.core.store_url import StoreURL, store_url

GOOD = {
    "local": StoreURL("local"),
    "memory": StoreURL("memory"),
    "sqlite": StoreURL("sqlite"),
    "sqlite:///counters.db": StoreURL("sqlite", path="counters.db"),
    "sqlite:////var/lib/a%20b/c.db": StoreURL("sqlite", path="/var/lib/a b/c.db"),
    "redis://cache": StoreURL("redis", host="cache", port=6379),
    "redis://cache:7000/3": StoreURL("redis", host="cache", port=7000, database=3),
    "redis://cache/": StoreURL("redis", host="cache", port=6379),
    "redis://cache?db=2": StoreURL("redis", host="cache", port=6379, database=2),
    "valkey://[::1]:6380": StoreURL("redis", host="::1", port=6380),
    "redis://me:p%40ss%2Fw@cache": StoreURL("redis", host="cache", port=6379, username="me", password="p@ss/w"),
    "redis://:secret@cache": StoreURL("redis", host="cache", port=6379, password="secret"),
    "rediss://cache": StoreURL("redis", host="cache", port=6379, tls=True),
    "valkeys://cache?ssl_ca_certs=/etc/ca.pem": StoreURL(
        "redis", host="cache", port=6379, tls=True, authorities="/etc/ca.pem"
    ),
    "rediss://cache?ssl_cert_reqs=none": StoreURL("redis", host="cache", port=6379, tls=True, verified=False),
    "unix:///run/redis.sock": StoreURL("redis", path="/run/redis.sock"),
    "redis+unix:///run/redis.sock?db=4": StoreURL("redis", path="/run/redis.sock", database=4),
    "unix://me:secret@/run/redis.sock": StoreURL("redis", path="/run/redis.sock", username="me", password="secret"),
}

BAD = {
    "": "local",
    "redis": "redis://",
    "Local": "local",
    "memcached://cache": "redis://",
    "http://cache": "redis://",
    "redis://": "the host",
    "redis:///3": "the host",
    "redis://cache:port": "host and port",
    "redis://cache:70000": "host and port",
    "redis://:hunter2#x@cache": "percent-encode",
    "redis://:hunter/2@cache": "host and port",
    "redis://cache/three": "number of a database",
    "redis://cache?db=-1": "number of a database",
    "redis://cache/123456": "number of a database",
    "redis://cache?socket_timeout=30": "nothing but db",
    "redis://cache?ssl_cert_reqs=none": "nothing but db",
    "rediss://cache?ssl_cert_reqs=optional": "nothing but db",
    "redis://hunter2 @cache": "without spaces",
    "redis://cache\n": "without spaces",
    "unix://": "path of a socket",
    "unix://host/run/redis.sock": "path of a socket",
    "sqlite://": "path of a file",
    "sqlite:///": "path of a file",
    "sqlite://host/path": "path of a file",
    "sqlite:///a?mode=ro": "path of a file",
    "sqlite:///a%00b": "path of a file",
    "redis://[::1": "host and port",
}


@pytest.mark.parametrize("text", GOOD)
def test_what_is_taken(text: str) -> None:
    assert store_url(text) == GOOD[text]
    assert store_url(GOOD[text]) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(Wanted) as caught:
        store_url(text)
    assert BAD[text] in str(caught.value)
    assert "hunter" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("value", [None, 3, True, b"local", ["local"], {}])
def test_only_text_is_an_address(value: object) -> None:
    with pytest.raises(Wanted):
        store_url(value)


def test_no_text_of_an_address_holds_credentials() -> None:
    for address in GOOD.values():
        for shown in (str(address), repr(address), f"{address}"):
            assert "secret" not in shown
            assert "p@ss" not in shown


def test_the_text_names_the_place() -> None:
    assert [str(store_url(text)) for text in ("redis://:secret@cache", "rediss://h:1", "unix:///s", "local")] == [
        "redis://cache:6379",
        "rediss://h:1",
        "unix:///s",
        "local",
    ]
