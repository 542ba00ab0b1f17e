"""The store on a Redis or Valkey server: one count for several machines, one script call a step.

The steps are Lua scripts in ``lua/``, one file each, that do what ``table.py`` does, with the server's time. Every key
expires when what it holds has passed, so nothing grows beyond what was counted lately. A call waits at most for a
connection and an answer (:data:`CONNECT_MS`, :data:`ANSWER_MS`) and is never repeated; only the lookup of a host's
name is the system's resolver's, so a server is best named by its address or in ``/etc/hosts``.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
import threading
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, Final

from bsguard.core.errors import StateUnusable
from bsguard.core.events import printable
from bsguard.core.fork import in_each_child
from bsguard.stores.port import Record, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import redis

    from bsguard.core.store_url import StoreURL
    from bsguard.stores.port import Ban, Change, Counter, Exchange, Reach, Write

PREFIX: Final = "bsguard:v1:"

#: How long a call waits for a connection, and then for the answer.
CONNECT_MS: Final = 100
ANSWER_MS: Final = 100

#: Connections of one process; as many threads may be in a call at once.
CONNECTIONS_MAX: Final = 1024

#: The set of all records, by when they were written.
_INDEX: Final = b"written"

_COUNTER: Final = struct.Struct("<6d")
_CHANGE: Final = struct.Struct("<3d")
_DOUBLE_BYTES: Final = 8
_RESET_KEYS: Final = 1000
_QUOTE: Final = re.compile("[`'\"]")

_CLUSTER: Final = (
    "it is a Redis Cluster, where one step cannot span machines; use one server, or its master and replicas"
)
_RIGHTS: Final = (
    "this user may not run EVALSHA, EVAL, TIME, GET, MGET, SET, DEL, ZADD, ZREM, ZCARD, ZPOPMIN and ZREVRANGE on keys "
    "with the prefix"
)

#: Answers that no waiting cures, and what to do: by the client's name for the error, or the server's first word.
_REMEDIES: Final = {
    "AuthenticationError": "it wants another name or password; percent-encode what the address holds",
    "NOAUTH": "it wants a password; put it into the address, percent-encoded",
    "WRONGPASS": "it wants another name or password; percent-encode what the address holds",
    "NoPermissionError": _RIGHTS,
    "NOPERM": _RIGHTS,
    "ClusterCrossSlotError": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
    "MovedError": _CLUSTER,
    "MOVED": _CLUSTER,
    "ClusterDownError": _CLUSTER,
    "CLUSTERDOWN": _CLUSTER,
    "ReadOnlyError": "it is a replica, which takes no changes; name its master",
    "READONLY": "it is a replica, which takes no changes; name its master",
}
#: First words of answers that a server may stop giving by itself.
_PASSING: Final = frozenset({"BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "TRYAGAIN"})


class StoreRefused(StateUnusable):
    """The server answered, and no waiting will make it serve: something about the address or the server is wrong."""


class RedisStore:
    """Counts across all machines that use the same server and *prefix*."""

    name: ClassVar[str] = "redis"
    reach: ClassVar[Reach] = "machines"

    def __init__(
        self,
        url: StoreURL,
        *,
        prefix: str = PREFIX,
        connect_ms: int = CONNECT_MS,
        answer_ms: int = ANSWER_MS,
        caller_time: bool = False,
    ) -> None:
        """*caller_time* is for tests: the time is the caller's, and not the server's."""
        try:
            import redis
        except ImportError:
            raise StoreRefused(f'{url}: the package redis is missing; pip install "bsguard[redis]"') from None
        self.url = url
        # The latter two come of bytes that are no answers at all.
        self._errors = (redis.RedisError, OSError, ValueError, RecursionError)
        self._prefix = prefix.encode("utf-8")
        self._connect_seconds = connect_ms / 1000
        self._answer_seconds = answer_ms / 1000
        self._caller_time = caller_time
        self._client: redis.Redis | None = None
        self._lock = threading.Lock()
        self._scripts = {name: _script(name) for name in ("take", "settle", "ban", "keep")}
        in_each_child(self._forget)

    def take(
        self,
        now_us: int,
        counters: Sequence[Counter],
        marks: Sequence[bytes] = (),
        bans: Sequence[Ban] = (),
        exchanges: Sequence[Exchange] = (),
        /,
    ) -> Taken:
        """See :class:`~bsguard.stores.port.Store`."""
        prefix = self._prefix
        keys = [prefix + key for key in marks]
        arguments: list[bytes | int] = [now_us if self._caller_time else 0, len(marks), len(bans), len(exchanges)]
        for key, unless in bans:
            keys.append(prefix + key)
            arguments.append(bytes(unless))
        for key, (emission, capacity), cost, soft, unless, mark, mark_us in counters:
            keys.append(prefix + key)
            arguments.append(_COUNTER.pack(emission, emission * capacity, cost, soft, mark, mark_us) + bytes(unless))
        for key, number in exchanges:
            keys.append(prefix + key)
            arguments.append(number)
        several = len(counters)
        now, banned, *rest = self._answer("take", keys, arguments, least=2)
        if len(rest) != len(marks) + (0 if banned else 2 * several + len(exchanges)):
            raise self._unexpected()
        held = tuple(map(bool, rest[: len(marks)]))
        if banned:
            return Taken(banned, (), (), held, now)
        loads, over, before = (
            rest[len(marks) :][:several],
            rest[len(marks) + several :][:several],
            rest[len(marks) + 2 * several :],
        )
        over_at = tuple([place for place, one in enumerate(over) if one])
        return Taken(0, over_at, tuple(loads), held, now, tuple(before))

    def settle(self, now_us: int, changes: Sequence[Change], marks: Sequence[tuple[bytes, int]] = (), /) -> list[int]:
        """See :class:`~bsguard.stores.port.Store`."""
        prefix = self._prefix
        keys = [prefix + change.key for change in changes] + [prefix + key for key, _ in marks]
        arguments: list[bytes | int] = [now_us if self._caller_time else 0, len(changes)]
        for _, (emission, capacity), units in changes:
            arguments.append(_CHANGE.pack(emission, emission * capacity, units))
        arguments += [lasting_us for _, lasting_us in marks]
        return self._answer("settle", keys, arguments, least=len(changes))

    def ban(self, now_us: int, key: bytes, until_us: int, /) -> None:
        """See :class:`~bsguard.stores.port.Store`."""
        self._call("ban", [self._prefix + key], [now_us if self._caller_time else 0, until_us])

    def records(self, keys: Sequence[bytes], /) -> list[Record]:
        """See :class:`~bsguard.stores.port.Store`."""
        if not keys:
            return []
        try:
            found: Any = self._opened().mget([self._prefix + key for key in keys])
            return [_record(data) for data in self._listed(found, len(keys))]
        except self._errors as error:
            raise self._unusable(error) from None

    def keep(self, now_us: int, writes: Sequence[Write], records_max: int, /) -> list[bool]:
        """See :class:`~bsguard.stores.port.Store`."""
        prefix = self._prefix
        keys = [prefix + _INDEX, *(prefix + write.key for write in writes)]
        arguments: list[bytes | int] = [now_us if self._caller_time else 0, records_max, len(prefix)]
        for _, version, data in writes:
            arguments += [version, data]
        return [answer == 1 for answer in self._listed(self._call("keep", keys, arguments), len(writes))]

    def newest(self, count: int, /) -> list[tuple[bytes, Record]]:
        """See :class:`~bsguard.stores.port.Store`."""
        try:
            answer: Any = self._opened().zrevrange(self._prefix + _INDEX, 0, count - 1) if count else []
        except self._errors as error:
            raise self._unusable(error) from None
        keys = self._listed(answer)
        if not all(isinstance(key, bytes) for key in keys):
            raise self._unexpected()
        pairs = zip(keys, self.records(keys), strict=True)
        return [(key, record) for key, record in pairs if record.version]

    def reset(self) -> None:
        """Forget everything."""
        pattern = b"".join(b"\\" + bytes([byte]) if byte in b"*?[]^\\" else bytes([byte]) for byte in self._prefix)
        try:
            client = self._opened()
            cursor = -1
            while cursor != 0:
                cursor, found = client.scan(max(cursor, 0), match=pattern + b"*", count=_RESET_KEYS)
                if found:
                    client.delete(*found)
        except self._errors as error:
            raise self._unusable(error) from None

    def agree(self, secret: str) -> str:
        """The secret that all machines use: the one that was offered first."""
        key = self._prefix + b"secret"
        try:
            client = self._opened()
            client.set(key, secret, nx=True)
            agreed = client.get(key)
        except self._errors as error:
            raise self._unusable(error) from None
        return agreed.decode("ascii", "replace") if isinstance(agreed, bytes) else secret

    def close(self) -> None:
        """Close the connections of this process; the next use opens others."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.connection_pool.disconnect()

    def _answer(self, name: str, keys: list[bytes], arguments: list[bytes | int], *, least: int) -> list[int]:
        """The numbers that a script gives as doubles, *least* of them or more."""
        answer = self._call(name, keys, arguments)
        if not isinstance(answer, bytes) or len(answer) % _DOUBLE_BYTES or len(answer) < least * _DOUBLE_BYTES:
            raise self._unexpected()
        numbers = struct.unpack(f"<{len(answer) // _DOUBLE_BYTES}d", answer)
        if not all(map(math.isfinite, numbers)):
            raise self._unexpected()
        return [int(number) for number in numbers]

    def _listed(self, answer: Any, count: int = -1) -> list[Any]:
        """An answer that is a list, of *count* where that is known."""
        if not isinstance(answer, list) or count not in (-1, len(answer)):
            raise self._unexpected()
        return answer

    def _unexpected(self) -> StateUnusable:
        return StateUnusable(f"{self.url}: an answer that our scripts do not give")

    def _call(self, name: str, keys: list[bytes], arguments: list[bytes | int]) -> Any:
        """Run a script; the server keeps it by its digest until it restarts or somebody flushes its scripts."""
        import redis

        text, digest = self._scripts[name]
        try:
            run: Callable[..., Any] = self._opened().execute_command
            try:
                return run("EVALSHA", digest, len(keys), *keys, *arguments)
            except redis.exceptions.NoScriptError:
                return run("EVAL", text, len(keys), *keys, *arguments)
        except self._errors as error:
            raise self._unusable(error) from None

    def _opened(self) -> redis.Redis:
        """The client of this process, which connects when it is used."""
        client = self._client
        if client is None:
            with self._lock:
                client = self._client = self._client or self._open()
        return client

    def _open(self) -> redis.Redis:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        url = self.url
        options: dict[str, Any] = {
            "db": url.database,
            "username": url.username or None,
            "password": url.password or None,
            "socket_timeout": self._answer_seconds,
            "socket_connect_timeout": self._connect_seconds,
            # Repeating a call multiplies the time-out, and may charge twice. Newer clients repeat by default.
            "retry": Retry(NoBackoff(), 0),
            # Protocol 3 opens with a greeting that waits for an answer, and turns on listening for notices.
            "protocol": 2,
            "max_connections": CONNECTIONS_MAX,
        }
        if url.path:
            options |= {"connection_class": redis.UnixDomainSocketConnection, "path": url.path}
        else:
            options |= {"host": url.host, "port": url.port}
        if url.tls:
            options |= {
                "connection_class": redis.SSLConnection,
                "ssl_cert_reqs": "required" if url.verified else "none",
                "ssl_check_hostname": url.verified,
                "ssl_ca_certs": url.authorities or None,
            }
        return redis.Redis(connection_pool=redis.ConnectionPool(**options))

    def _unusable(self, error: Exception) -> StateUnusable:
        """What to raise for *error*, without what the server quotes: it may be what we sent."""
        import redis

        kind, text = type(error).__name__, printable(str(error))
        code = text.partition(" ")[0]
        if "unauthenticated" in text:  # its answer to more than ten words from a stranger
            code = "NOAUTH"
        for name in (kind, code):
            if name in _REMEDIES:
                return StoreRefused(f"{self.url}: {_REMEDIES[name]} ({name})")
        text = _QUOTE.split(text)[0].strip()
        if type(error) is redis.ResponseError and code not in _PASSING:
            return StoreRefused(f"{self.url}: it refuses our scripts, for which it must be Redis 5 or newer: {text}")
        return StateUnusable(f"{self.url}: {kind}: {text}")

    def _forget(self) -> None:
        """Start anew in a forked process; the parent's connections are closed here and live on there."""
        self._lock = threading.Lock()
        self._client = None


def _record(data: object) -> Record:
    """A record as the server has it: its version, a line end, its data."""
    if data is not None and not isinstance(data, bytes):
        raise ValueError("a record that is no text")
    version, _, rest = (data or b"0\n").partition(b"\n")
    return Record(int(version), rest)


def _script(name: str) -> tuple[bytes, str]:
    """A script's text and the digest by which the server knows it."""
    text = files("bsguard.stores").joinpath("lua", f"{name}.lua").read_bytes()
    return text, hashlib.sha1(text, usedforsecurity=False).hexdigest()
