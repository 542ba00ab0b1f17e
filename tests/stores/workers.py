"""What the processes that the tests start do: ``python -m tests.stores.workers TASK KIND PLACE NUMBER …``."""

from __future__ import annotations

import os
import sys
import threading

from bsguard.stores.port import Ban, Counter, Rate
from tests.stores.support import KEYS, START_US, open_kind

HOT = KEYS.counter("ip", "the hot one")
DAY = Rate.of(1000, 86_400)
BAN = KEYS.ban("192.0.2.1")
THREADS = 4


def count(kind: str, place: str, calls: int) -> None:
    """Take as often as told, from several threads; tell how many calls were answered, and how many allowed.

    Begins on a line from the test, so that all processes do at once.
    """
    store = open_kind(kind, place)
    store.take(START_US, [])
    print("ready", flush=True)
    sys.stdin.readline()
    answers: list[bool] = []

    def loop() -> None:
        counters = [Counter(HOT, DAY)]
        for _ in range(calls // THREADS):
            answers.append(store.take(START_US, counters).over == ())

    threads = [threading.Thread(target=loop) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(len(answers), sum(answers), flush=True)


def write(kind: str, place: str, first: int) -> None:
    """Write for ever, saying each ban that was set once it was; the test kills this in the middle."""
    store = open_kind(kind, place)
    number = first
    while True:
        key = b"b" + number.to_bytes(4, "big")[2:] + number.to_bytes(8, "big")
        store.ban(START_US, key, START_US + 10**9)
        os.write(1, b"%d\n" % number)
        store.take(START_US, [Counter(HOT, DAY)], (), [Ban(key)])
        number += 1


if __name__ == "__main__":
    {"count": count, "write": write}[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))
