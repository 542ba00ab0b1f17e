"""Where requests come from: addresses by kind of network, and the agents of programs and people.

Each kind has first octets of its own, none of them private or reserved, so that no network is of two kinds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import random

_OFFICES: Final = (78, 79, 80, 81, 82, 83)
_HOMES: Final = (84, 85, 86, 87, 88, 89, 90, 91)
_CLOUDS: Final = (3, 13, 18, 20, 34, 35, 40, 52, 54)
_MOBILE: Final = (176, 177, 178)
_PROXIES: Final = (24, 45, 67, 71, 73, 96, 104, 136, 154, 181, 185, 193, 201)

SDKS: Final = ("python/1.8.2", "python/1.9.0", "node/2.4.1", "node/3.0.0", "go/0.9.4", "java/4.1.0", "php/1.2.7")
TOOLS: Final = ("curl/8.5.0", "curl/8.9.1", "PostmanRuntime/7.43.0", "insomnia/10.1.0", "HTTPie/3.2.4")
BROWSERS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605",
    "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:138.0) Gecko/20100101 Firefox/138.0",
)
MOBILE_AGENTS: Final = ("ApiApp/5.1 (iPhone; iOS 18.5)", "ApiApp/5.1 (Android 15)", "ApiApp/5.0 (Android 14)")
#: What attackers run: the common libraries, and tools that customers use too.
ATTACK_AGENTS: Final = ("python-requests/2.32.3", "Go-http-client/2.0", "axios/1.9.0", "okhttp/4.12.0", *TOOLS[:2])


class Origin(NamedTuple):
    """Where a request comes from."""

    address: str
    agent: str


def _v4(first: int, rng: random.Random) -> str:
    return f"{first}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"


def office(rng: random.Random) -> str:
    """The one address of an office."""
    return _v4(rng.choice(_OFFICES), rng)


def home(rng: random.Random) -> str:
    """A home's address: in one of three an IPv6 one."""
    if rng.random() < 0.33:
        groups = [rng.randrange(0x8000), rng.randrange(0x10000), rng.randrange(0x10000)]
        return f"2a02:{':'.join(f'{group:x}' for group in groups)}::{rng.randrange(2, 99)}"
    return _v4(rng.choice(_HOMES), rng)


def server(rng: random.Random) -> str:
    """A machine in some cloud."""
    return _v4(rng.choice(_CLOUDS), rng)


def proxy(rng: random.Random) -> str:
    """An exit of a proxy or hosting network that attackers rent; a fresh network nearly every time."""
    return _v4(rng.choice(_PROXIES), rng)


class Region(NamedTuple):
    """A cloud region: a few large networks out of which machines get fresh addresses."""

    networks: tuple[str, ...]

    @classmethod
    def some(cls, rng: random.Random, networks: int) -> Region:
        """A region of so many /16 networks."""
        return cls(tuple(f"{rng.choice(_CLOUDS)}.{rng.randrange(256)}" for _ in range(networks)))

    def fresh(self, rng: random.Random) -> str:
        """The address of a machine that was just started."""
        return f"{rng.choice(self.networks)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"


class Carrier(NamedTuple):
    """A mobile carrier: shared IPv4 addresses out of a few networks, and a /64 of IPv6 for each attachment."""

    networks: tuple[str, ...]
    prefix: str

    @classmethod
    def some(cls, rng: random.Random, networks: int) -> Carrier:
        """A carrier with so many /16 networks for IPv4."""
        blocks = tuple(f"{rng.choice(_MOBILE)}.{rng.randrange(256)}" for _ in range(networks))
        return cls(blocks, f"2a01:{rng.randrange(0x8000):x}")

    def attach(self, rng: random.Random) -> str:
        """The address after a phone has changed its cell, its network or slept."""
        if rng.random() < 0.5:
            return f"{self.prefix}:{rng.randrange(16):x}:{rng.randrange(0x10000):x}::{rng.randrange(2, 0xFFFF):x}"
        return f"{rng.choice(self.networks)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
