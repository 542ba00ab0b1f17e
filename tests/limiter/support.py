"""What the tests of the limiter share: an application with open and closed doors, a store that counts its calls."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Limiter, identify
from bsguard.stores.memory import MemoryStore
from bsguard.testing import Answer, FakeClock, environ, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PEER = "203.0.113.9"
OTHER = "198.51.100.7"
PROXY = "10.0.0.1"

KEYS = ("a" * 16,)

#: Rates that nothing in a test comes near, for where another limit is what it is about.
WIDE = {"GLOBAL_RATE": "1000000/second", "CREDENTIALS_RATE": "1000000/second", "TARGET_RATE": "1000000/second"}


def table(count: int, rows: Mapping[str, Any]) -> list[Any]:
    """Parameters of a test, one a row; ids are the keys. A row that got lost, or was added unseen, is an error."""
    assert len(rows) == count, f"the table has {len(rows)} rows, not {count}"
    return [pytest.param(*(row if isinstance(row, tuple) else (row,)), id=name) for name, row in rows.items()]


class CountingStore(MemoryStore):
    """A store that knows how often it was called, and for what."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def take(self, *arguments: Any) -> Any:
        self.calls["take"] += 1
        return super().take(*arguments)

    def settle(self, *arguments: Any) -> Any:
        self.calls["settle"] += 1
        return super().settle(*arguments)

    def ban(self, *arguments: Any) -> None:
        self.calls["ban"] += 1
        super().ban(*arguments)


class Doors:
    """An application: ``/private`` wants a good credential, ``/public`` wants nothing, ``/status/N`` answers N."""

    def __init__(self, *good: str, names: bool = True) -> None:
        self.good = set(good)
        #: Whether it tells the guard whose request it was.
        self.names = names
        self.served: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        self.served.append(path)
        if path.startswith("/private"):
            credential = environ.get("HTTP_AUTHORIZATION") or environ.get("HTTP_X_API_KEY", "")
            if credential not in self.good:
                start_response("401 Unauthorized", [])
                return [b"no"]
            if self.names:
                identify(credential)
        if path == "/raise":
            raise ZeroDivisionError("on purpose")
        status = path.rpartition("/")[2] if path.startswith("/status/") else "200"
        start_response(f"{status} Whatever", [("Content-Type", "text/plain")])
        return self.late() if path == "/raise-late" else [b"yes"]

    @staticmethod
    def late() -> Iterator[bytes]:
        yield b"a"
        raise ZeroDivisionError("on purpose")


@dataclass
class Bench:
    """A limiter in front of :class:`Doors`, and what is needed to look at it."""

    config: dict[str, object] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    app: Any = field(default_factory=Doors)
    mode: Any = "enforce"
    overrides: Any = None
    store: Any = field(default_factory=CountingStore)
    clock: FakeClock = field(default_factory=FakeClock)
    events: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        common: dict[str, Any] = {} if self.overrides is None else {"overrides": self.overrides}
        self.layer = Limiter(
            self.app,
            self.config,
            mode=self.mode,
            store=self.store,
            settings={"SECRET_KEYS": KEYS, **self.settings},
            clock=self.clock,
            emit=self.events.append,
            **common,
        )

    def ask(self, path: str = "/public", *, by: str = PEER, key: str = "", method: str = "GET", **more: Any) -> Answer:
        """Send a request from *by*, with the credential *key*."""
        headers = dict(more.pop("headers", {}))
        if key:
            headers["Authorization"] = key
        return run(self.layer, environ(method, path, headers=headers, peer=by, **more))

    def statuses(self, times: int, path: str = "/public", **how: Any) -> list[int]:
        """The statuses of so many requests."""
        return [self.ask(path, **how).status for _ in range(times)]

    def passed(self, times: int, path: str = "/public", **how: Any) -> int:
        """How many of so many requests were not refused by the limiter."""
        return sum(status not in (429, 403) for status in self.statuses(times, path, **how))

    def guess(self, times: int, *, by: str = PEER, start: int = 0) -> list[int]:
        """The statuses of so many different credentials that have nothing in common."""
        return [
            self.ask("/private", by=by, key=f"Bearer {number:05d}{'x' * 20}").status
            for number in range(start, start + times)
        ]

    def rules(self) -> list[str]:
        """The rules of all events about rules, in order."""
        return [event.rule for event in self.events if hasattr(event, "rule")]

    def named(self, name: str) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if event.name == name]


def basic(user: str, password: str) -> str:
    """Basic credentials."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def code_of(answer: Answer) -> str:
    """The code of a refusal, in either error format."""
    document = json.loads(answer.body)
    code: str = document["code"] if "code" in document else document["error"]["code"]
    return code


_ITEM = re.compile(r'"([ !#-\[\]-~]*)"((?:;[a-z*][a-z0-9_.*-]*=-?[0-9]{1,15})*)')


def structured(text: str) -> dict[str, dict[str, int]]:
    """A list of strings with whole numbers for parameters (RFC 9651 §3.1, §3.1.2, §3.3.1, §3.3.3), and no other."""
    found: dict[str, dict[str, int]] = {}
    for item in text.split(", "):
        match = _ITEM.fullmatch(item)
        assert match is not None, item
        assert match[1] not in found, f"{match[1]} twice"
        pairs = [pair.split("=") for pair in match[2].split(";")[1:]]
        found[match[1]] = {name: int(value) for name, value in pairs}
        assert len(found[match[1]]) == len(pairs), f"a parameter twice in {item}"
    return found
