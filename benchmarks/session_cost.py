"""What the session layer costs: in the request path, in round trips to Redis, and in place for a million identities.

The request path is timed call by call, with the layer and without it in turn, in processor time of the thread,
to the end of what the layer does after the response. Round trips are counted by the server's own MONITOR. A million
identities are a million requests, each with a credential that the application accepts.
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import socket
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.frozen import Frozen
from benchmarks.limiter import redis_server
from bsguard import guard, identify, testing
from bsguard.stores.opening import SHARED_MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

#: Microseconds of p50 over the same stack without the layer, on ``local``.
BAR_US: Final = 15.0
ROUNDS: Final = 60
CALLS: Final = 300
IDENTITIES: Final = 1_000_000
#: Every other layer that there is; limits so wide that nothing is refused.
REST: Final = ("protocol", "limiter", "contract", "tenant")
CONFIG: Final = {"MODE": "enforce", "LIMITER_GLOBAL_RATE": "1000000/second", "SECRET_KEYS": ["k" * 40]}
#: Who acts has to ask before each request whether the session is held back.
ACTING: Final = {"SESSION_ACTIONS": {"leak": "deny", "volume": "throttle"}}
_CUSTOMERS: Final = 200


def run() -> list[dict[str, Any]]:
    """One row for each figure."""
    logging.disable(logging.WARNING)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bsg") as folder:
        for store in ("local", "sqlite"):
            rows += _path(store, Path(folder) / store)
        rows += _trips(Path(folder) / "redis", "watching", {})
        rows += _trips(Path(folder) / "acting", "acting", ACTING)
        for store in ("local", "sqlite"):
            rows += _million(store, Path(folder) / f"million-{store}")
    return rows


def app(environ: WSGIEnvironment, start_response: Any) -> list[bytes]:
    """Accepts every credential, and says whose it is."""
    length = environ.get("CONTENT_LENGTH")
    if length:
        environ["wsgi.input"].read(int(length))
    identify(environ.get("HTTP_AUTHORIZATION", ""))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
    return [b"{}"]


def _guarded(folder: Path, store: str, layers: Sequence[str], **more: object) -> WSGIApplication:
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"STORE": store, "STATE_DIR": folder, "LAYERS": layers, "EVENTS_LOGGED": False, "EVENTS_STORED": False}
    return guard(app, {**CONFIG, **settings, **more})


def _path(store: str, folder: Path) -> list[dict[str, Any]]:
    """p50 and p99 of one call with and without the layer; customers take turns over twenty paths and many objects."""
    with_it = [*REST[:-1], "session", REST[-1]]
    apps = {
        "without": _guarded(folder / "a", store, REST),
        "with": _guarded(folder / "b", store, with_it),
        "acting, with": _guarded(folder / "c", store, with_it, **ACTING),
    }
    rows = []
    for name in ("get", "post_1k"):
        make = _turns(Frozen.load(name).factory())
        for one in apps.values():
            for _ in range(2_000):
                _call(one, make())
        times: dict[str, list[int]] = {label: [] for label in apps}
        halves: dict[str, list[float]] = {label: [] for label in apps}
        for _ in range(ROUNDS):
            for label, one in apps.items():
                gc.collect()
                taken = [_timed(one, make()) for _ in range(CALLS)]
                times[label] += taken
                halves[label].append(statistics.median(taken) / 1_000)
        for label, values in times.items():
            cuts = statistics.quantiles(values, n=100)
            pair = f"{cuts[49] / 1e3:.1f} / {cuts[98] / 1e3:.1f}"
            rows.append(_row(f"{name}, {label} the layer", store, "us a call, p50 / p99", pair))
        for label in ("with", "acting, with"):
            added = statistics.median(b - a for a, b in zip(halves["without"], halves[label], strict=True))
            mean = (statistics.fmean(times[label]) - statistics.fmean(times["without"])) / 1_000
            bar = BAR_US if store == "local" else None
            what = f"{name}, added {label.removesuffix('with')}".rstrip(", ")
            rows.append(_row(what, store, "us a call, p50", round(added, 1), bar, added <= BAR_US if bar else None))
            rows.append(_row(what, store, "us a call, mean", round(mean, 1)))
    return rows


def _turns(make: Callable[[], WSGIEnvironment]) -> Callable[[], WSGIEnvironment]:
    """Environs of customers in turn, on objects in turn, from a few addresses each."""
    turn = 0

    def following() -> WSGIEnvironment:
        nonlocal turn
        turn += 1
        environ = make()
        customer = turn % _CUSTOMERS
        environ["HTTP_AUTHORIZATION"] = f"Bearer key-{customer}"
        environ["PATH_INFO"] = f"/v1/things{turn // _CUSTOMERS % 20}/{turn}"
        environ["RAW_URI"] = environ["PATH_INFO"]
        environ["REMOTE_ADDR"] = f"82.{customer}.{turn % 3}.9"
        environ["wsgi.url_scheme"] = "https"
        return environ

    return following


def _call(one: WSGIApplication, environ: WSGIEnvironment) -> None:
    status = ""

    def start_response(said: str, headers: object, exc_info: object = None, /) -> Any:
        nonlocal status
        status = said

    chunks = one(environ, start_response)
    for _ in chunks:
        pass
    chunks.close()  # type: ignore[attr-defined]  # a guard's always has it
    if status[:3] != "200":
        raise RuntimeError(f"refused with {status}")


def _timed(one: WSGIApplication, environ: WSGIEnvironment) -> int:
    began = time.thread_time_ns()
    _call(one, environ)
    return time.thread_time_ns() - began


def _trips(folder: Path, what: str, more: Mapping[str, object]) -> list[dict[str, Any]]:
    """Commands that a server hears, with the session layer alone, in the whole of a request."""
    folder.mkdir()
    with redis_server(folder) as address:
        if not address:
            return [_row("no server is installed", "redis", "commands a request", None)]
        one = _guarded(folder / "state", address, ["session"], **more)
        make = _turns(Frozen.load("get").factory())
        for _ in range(1_000):
            _call(one, make())
        before: list[int] = []
        inside: list[int] = []
        with _monitored(address.removeprefix("unix://")) as read:
            for _ in range(500):
                _call(_counting(one, read, inside), make())
                before.append(len(read()))
        trips = [more + after for more, after in zip(inside, before, strict=True)]
    return [
        _row(f"{what}, before the answer", "redis", "round trips a request, most", max(inside), 1, max(inside) <= 1),
        _row(f"{what}, after the answer", "redis", "round trips a request, mean", round(statistics.fmean(before), 3)),
        _row(f"{what}, together", "redis", "round trips a request, mean", round(statistics.fmean(trips), 3)),
    ]


def _counting(one: WSGIApplication, read: Callable[[], list[bytes]], inside: list[int]) -> WSGIApplication:
    """*one*, with what the server has heard by the time the first byte of the answer is there noted in *inside*."""

    def counted(environ: WSGIEnvironment, start_response: Any) -> Any:
        chunks = one(environ, start_response)
        inside.append(len(read()))
        return chunks

    return counted


@contextmanager
def _monitored(path: str) -> Iterator[Callable[[], list[bytes]]]:
    """A function that gives the commands of clients since it was last called; those of scripts are no round trips."""
    with socket.socket(socket.AF_UNIX) as watch, socket.socket(socket.AF_UNIX) as mark:
        watch.connect(path)
        mark.connect(path)
        watch.sendall(b"MONITOR\r\n")
        lines = watch.makefile("rb")
        lines.readline()
        number = 0

        def read() -> list[bytes]:
            nonlocal number
            number += 1
            mark.sendall(b"ECHO mark-%d\r\n" % number)
            mark.recv(100)
            found: list[bytes] = []
            while b'"mark-%d"' % number not in (line := lines.readline()):
                if b" lua]" not in line:
                    found.append(line)
            return found

        yield read


def _million(store: str, folder: Path) -> list[dict[str, Any]]:
    """What a million identities leave behind; a hundred busy ones among them must still be known after."""
    clock = testing.FakeClock()
    settings = {"STORE": store, "STATE_DIR": folder, "LAYERS": ["session"], "EVENTS_LOGGED": False}
    folder.mkdir()
    one = guard(app, {**CONFIG, **settings, "EVENTS_STORED": False}, clock=clock)
    make = Frozen.load("get").factory()
    sizes, memory = [], []
    began = time.thread_time()
    for number in range(IDENTITIES):
        environ = make()
        environ["HTTP_AUTHORIZATION"] = f"Bearer {number:032x}"
        environ["REMOTE_ADDR"] = f"82.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255 or 1}"
        _call(one, environ)
        clock.advance(0.01)
        if number in (IDENTITIES // 2, IDENTITIES - 1):
            sizes.append(_bytes_on_disk(folder))
            memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    spent = (time.thread_time() - began) / IDENTITIES * 1e6
    grown = sizes[1] <= sizes[0] * 1.02
    return [
        _row(
            "10^6 identities",
            store,
            "MiB on disk at half, at the end",
            " / ".join(_mib(size) for size in sizes),
            None,
            grown,
        ),
        _row(
            "10^6 identities", store, "MiB of memory at half, at the end", " / ".join(f"{size:.0f}" for size in memory)
        ),
        _row("10^6 identities", store, "us a request, mean", round(spent, 1)),
    ]


def _bytes_on_disk(folder: Path) -> int:
    """What the files in the state directory take, and those that the store keeps for it in memory."""
    places = [folder]
    for owner in SHARED_MEMORY.glob(f"bsguard-{os.geteuid()}-*/table.owner"):
        if owner.read_bytes() == bytes(folder.resolve()):
            places.append(owner.parent)
    return sum(file.stat().st_blocks * 512 for place in places for file in place.rglob("*") if file.is_file())


def _mib(size: float) -> str:
    return f"{size / 1024 / 1024:.1f}"


def _row(what: str, store: str, unit: str, value: Any, bar: Any = None, met: bool | None = None) -> dict[str, Any]:
    said = None if met is None else "yes" if met else "no"
    return {"what": what, "store": store, "unit": unit, "value": value, "bar": bar, "met": said}
