"""What the tests of the session layer share: an application with accounts, and customers that use it day by day."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Session, identify
from bsguard.stores.memory import MemoryStore
from bsguard.testing import Answer, FakeClock, environ, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEYS = ("a" * 16,)
DAY = 86_400
#: A midnight, UTC.
START = 1_700_006_400.0
HOME = "198.51.100.7"


def table(count: int, rows: Mapping[str, Any]) -> list[Any]:
    """Parameters of a test, one a row; ids are the keys. A row that got lost, or was added unseen, is an error."""
    assert len(rows) == count, f"the table has {len(rows)} rows, not {count}"
    return [pytest.param(*(row if isinstance(row, tuple) else (row,)), id=name) for name, row in rows.items()]


class Service:
    """An application: a credential that begins with ``Bearer good`` is accepted, ``/status/N`` answers N."""

    def __init__(self, *, names: bool = True) -> None:
        self.names = names
        self.served: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        self.served.append(path)
        credential = environ.get("HTTP_AUTHORIZATION", "")
        if path != "/public":
            if not credential.startswith("Bearer good") and "good" not in environ.get("HTTP_X_API_KEY", ""):
                start_response("401 Unauthorized", [])
                return [b"no"]
            if self.names:
                identify(f"account of {credential[-12:]}")
        status = path.split("/")[2] if path.startswith("/status/") else "404" if path.startswith("/none") else "200"
        start_response(f"{status} Whatever", [("Content-Type", "text/plain")])
        return [b"yes"]


@dataclass
class Bench:
    """A session layer in front of :class:`Service`, and what is needed to look at it."""

    config: dict[str, object] = field(default_factory=dict)
    app: Any = field(default_factory=Service)
    mode: Any = "enforce"
    settings: dict[str, object] = field(default_factory=dict)
    overrides: Any = None
    store: Any = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=lambda: FakeClock(START))
    events: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        common: dict[str, Any] = {} if self.overrides is None else {"overrides": self.overrides}
        self.layer = Session(
            self.app,
            self.config,
            mode=self.mode,
            store=self.store,
            settings={"SECRET_KEYS": KEYS, **self.settings},
            clock=self.clock,
            emit=self.events.append,
            **common,
        )
        self.random = random.Random(1)

    def ask(
        self, path: str = "/v1/models", *, key: str = "good", by: str = HOME, agent: str = "app/1.0", **more: Any
    ) -> Answer:
        """Send a request with the credential *key*, a moment after the last."""
        self.clock.advance(more.pop("after", 1.0))
        headers = {"User-Agent": agent, **more.pop("headers", {})}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return run(self.layer, environ(more.pop("method", "GET"), path, headers=headers, peer=by, **more))

    def next_day(self) -> None:
        """Let the rest of the day pass, and an hour."""
        self.clock.advance(DAY - self.clock.now() % DAY + 3600)

    def live(self, days: int = 7, *, key: str = "good", by: str = HOME) -> None:
        """Let a customer make some forty requests a day, for so many days."""
        for _ in range(days):
            for _ in range(self.random.randint(10, 14)):
                self.work(key=key, by=by)
            self.next_day()

    def work(self, *, key: str = "good", by: str = HOME) -> None:
        """What a customer does: look, estimate, generate, fetch the result."""
        pause = self.random.uniform(20, 200)
        self.ask("/v1/models", key=key, by=by, after=pause)
        self.ask("/v1/estimate", key=key, by=by, method="POST")
        self.ask("/v1/generate", key=key, by=by, method="POST")
        self.ask(f"/v1/files/{self.random.randint(1, 10**9)}", key=key, by=by, after=9)

    def scored(self) -> list[Any]:
        """The events about scores."""
        return [event for event in self.events if event.name == "session.scored"]

    def signals(self) -> dict[str, float]:
        """The largest points of each signal that were reported."""
        largest: dict[str, float] = {}
        for event in self.scored():
            for one in event.signals:
                name, points = one.split()
                largest[name] = max(largest.get(name, 0.0), float(points))
        return largest

    def rules(self) -> list[str]:
        """The rules of all events about rules, in order."""
        return [event.rule for event in self.events if hasattr(event, "rule")]


def code_of(answer: Answer) -> str:
    """The code of a refusal."""
    code: str = json.loads(answer.body)["error"]["code"]
    return code
