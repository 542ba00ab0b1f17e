"""Store addresses: what ``BSGUARD_STORE`` may say, read and checked without touching a file or the network."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from bsguard.core.config import Wanted

if TYPE_CHECKING:
    from urllib.parse import SplitResult

Kind = Literal["local", "sqlite", "redis", "memory"]

#: Schemes of addresses; Valkey speaks Redis' protocol. True: over TLS.
_TCP: Final = {"redis": False, "rediss": True, "valkey": False, "valkeys": True}
_UNIX: Final = ("unix", "redis+unix", "valkey+unix")
_PORT: Final = 6379
_DATABASE: Final = re.compile(r"\d{1,5}")
_FORMS: Final = (
    '"local", "sqlite", "sqlite:///path", "memory", or redis://, rediss://, valkey://, valkeys:// or unix:// '
    "with an address"
)


@dataclass(frozen=True, slots=True)
class StoreURL:
    """Where a store is. Its text names the place and never the credentials."""

    kind: Kind
    #: File of an SQLite database, or Unix socket of a server; empty where there is none.
    path: str = ""
    host: str = ""
    port: int = 0
    database: int = 0
    tls: bool = False
    #: File of the authorities that may have signed the server's certificate; the system's where empty.
    authorities: str = ""
    #: False takes any certificate: the talk is encrypted, and nobody knows with whom.
    verified: bool = True
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        if self.kind == "redis":
            return f"unix://{self.path}" if self.path else f"redis{'s' * self.tls}://{self.host}:{self.port}"
        return f"{self.kind}:///{self.path}" if self.path else self.kind


def store_url(value: object) -> StoreURL:
    """The setting's reader; raises :class:`~bsguard.core.config.Wanted`, whose message never holds the value."""
    if isinstance(value, StoreURL):
        return value
    if not isinstance(value, str):
        raise Wanted(_FORMS)
    if value in ("local", "sqlite", "memory"):
        return StoreURL(value)  # type: ignore[arg-type]
    if not value.isprintable() or " " in value:
        raise Wanted("an address without spaces; percent-encode what stands in a name or password")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise Wanted("an address whose host and port can be read; percent-encode the password") from None
    if parts.scheme == "sqlite":
        return _sqlite(parts)
    if parts.scheme in _TCP or parts.scheme in _UNIX:
        if find_spec("redis") is None:
            raise Wanted('a store that is installed: a server needs `pip install "bsguard[redis]"`')
        return _server(parts, port)
    raise Wanted(_FORMS)


def _sqlite(parts: SplitResult) -> StoreURL:
    """As SQLAlchemy writes it: three strokes and a path, which begins with a fourth when it is absolute."""
    path = unquote(parts.path)[1:]
    if parts.netloc or not path or parts.query or parts.fragment or "\0" in path:
        raise Wanted('"sqlite:///" and the path of a file, such as sqlite:////var/lib/app/counters.sqlite')
    return StoreURL("sqlite", path=path)


def _server(parts: SplitResult, port: int | None) -> StoreURL:
    queries = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.fragment or "#" in parts.geturl():
        raise Wanted("an address without #; percent-encode the password")
    number = queries.pop("db", "")
    path, socket = unquote(parts.path), parts.scheme in _UNIX
    if not socket and path.strip("/"):
        number = number or path.strip("/")
    if number and not _DATABASE.fullmatch(number):
        raise Wanted("the number of a database after the address, such as redis://cache.example/0")
    if socket and (parts.hostname or not path.strip("/")):
        raise Wanted("unix:// and the path of a socket, such as unix:///run/redis/redis.sock")
    if not socket and not parts.hostname:
        raise Wanted("the host of a server, such as redis://cache.example:6379/0")
    tls = _TCP.get(parts.scheme, False)
    authorities = queries.pop("ssl_ca_certs", "")
    certificates = queries.pop("ssl_cert_reqs", "required")
    if queries or certificates not in ("required", "none") or (not tls and "ssl_" in parts.query):
        raise Wanted("after ? nothing but db, and with rediss:// ssl_ca_certs and ssl_cert_reqs (required or none)")
    return StoreURL(
        "redis",
        path=path if socket else "",
        host="" if socket else unquote(parts.hostname or ""),
        port=0 if socket else (_PORT if port is None else port),
        database=int(number or 0),
        tls=tls,
        authorities=authorities,
        verified=certificates == "required",
        username=unquote(parts.username or ""),
        password=unquote(parts.password or queries.pop("password", "")),
    )
