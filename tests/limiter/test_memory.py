"""What clients choose (addresses, credentials, paths, header values) fills no worker's memory and no store."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest

from tests.limiter.support import Bench, Doors

FREE: dict[str, object] = {
    "GLOBAL_RATE": "1000000/second",
    "CREDENTIALS_RATE": "1000000/second",
    "TARGET_RATE": "1000000/second",
    "PROBING_RATE": "1000000/second",
    "RULES": [
        {"name": "who", "rate": "1000000/second", "key": "identity"},
        {"name": "what", "rate": "1000000/second", "key": "header:X-Customer"},
    ],
}
MEBIBYTE = 1 << 20


class NoStore:
    """Keeps nothing, so that what grows is the layer's own."""

    name = "none"
    reach = "machine"

    def take(self, now_us: int, counters: Any, marks: Any = (), bans: Any = ()) -> Any:
        from bsguard.stores.port import Taken

        return Taken(0, (), tuple(0 for _ in counters), tuple(False for _ in marks), now_us)

    def settle(self, now_us: int, changes: Any, marks: Any = ()) -> list[int]:
        return [0 for _ in changes]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["credentials", "headers", "paths", "addresses"])
def test_a_flood_of_what_clients_choose_takes_a_bounded_room(what: str) -> None:
    bench = Bench(dict(FREE), app=Doors(), store=NoStore())
    long = "x" * 8000

    def send(number: int) -> None:
        text = f"{number:08d}{long}"
        by = f"2001:db8:{number >> 8:x}:{number & 255:x}::1" if what == "addresses" else "203.0.113.9"
        bench.ask(
            f"/private/{text}" if what == "paths" else "/private",
            by=by,
            key=f"Bearer {text}" if what == "credentials" else "Bearer k",
            headers={"X-Customer": text} if what == "headers" else {},
        )
        bench.events.clear()
        bench.app.served.clear()

    send(0)
    tracemalloc.start()
    try:
        for number in range(1, 6000):
            send(number)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert grown < 12 * MEBIBYTE, f"{grown:,} bytes"
