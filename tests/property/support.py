"""What the property tests share: how long they look, and the text and addresses that they look with."""

from __future__ import annotations

import ipaddress
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

CANARY = "c4nary7"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def looks(examples: int) -> settings:
    """How many examples a property is tried on. Time is no measure here, and nothing is kept between runs.

    ``PROPERTY_TIMES=50 pytest tests/property`` looks that much longer.
    """
    return settings(
        max_examples=examples * int(os.environ.get("PROPERTY_TIMES", "1")),
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


_TELLING = " \t\r\n\0\x7f,;:=/\\%#?\"'<>[]{}().-_aZ09\x80\xff"


def native(max_size: int = 40) -> st.SearchStrategy[str]:
    """WSGI's native text, one character a byte, with a liking for what means something somewhere."""
    anything = st.binary(max_size=max_size).map(lambda data: data.decode("latin-1"))
    telling = st.binary(max_size=max_size).map(lambda data: "".join(_TELLING[byte % len(_TELLING)] for byte in data))
    return anything | telling


def addresses(network: str = "0.0.0.0/0") -> st.SearchStrategy[Address]:
    """Addresses of one network, its edges among them."""
    whole = ipaddress.ip_network(network)
    first, last = int(whole.network_address), int(whole.broadcast_address)
    return st.integers(first, last).map(type(whole.network_address))


def joined(*parts: str, max_size: int = 12) -> st.SearchStrategy[str]:
    """Texts put together from *parts*."""
    return st.lists(st.sampled_from(parts), max_size=max_size).map("".join)


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers 200 and looks at nothing."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
