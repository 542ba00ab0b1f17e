"""CRS at paranoia level 1, blocking: our engine against its peers on the same rules and the same requests.

The rules are looked for in ``BSGUARD_TEST_DATA``, else in ``shared/data`` beside the checkout. ``libmodsecurity`` comes
from PyPI with the ``dev`` extra and runs in this process, in turn with ours; where it does not install, our figures
stand alone. ``lewaf`` runs in an environment of its own, whose interpreter ``BSGUARD_LEWAF_PYTHON`` names.

Rows marked "unseen" have another path, credential, names and texts at every call, so that what the engine remembers of
earlier requests does not help; those marked "strange" have another agent too, and whatever else is long.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from benchmarks.frozen import Frozen
from benchmarks.measure import Timing, time_calls
from bsguard.seclang import Request, RuleSet

if TYPE_CHECKING:
    from collections.abc import Callable

_DATA = Path(os.environ.get("BSGUARD_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
_SETUP = "SecRuleEngine On\nSecRequestBodyAccess On\n"
#: What our engine does by itself, and libmodsecurity by the rules that its example configuration begins with.
_PROCESSORS = r"""
SecRule REQUEST_HEADERS:Content-Type "^application/(?:[a-z0-9.-]+\+)?json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
"""  # noqa: E501
_HARD_BYTES = 16_000
#: These are measured alone: one of them keeps libmodsecurity busy for more than a minute.
_HARD = "hard:"
_LEWAF = "BSGUARD_LEWAF_PYTHON"
#: What each request must reach: times faster than libmodsecurity and lewaf, and milliseconds.
_BARS = {"get": (6, 30), "post_1k": (14, 80), "post_16k": (18, 80)}
_HARD_MS_MAX = 20
_NUMBERS = itertools.count(1)


def run() -> list[dict[str, Any]]:
    """One row a request, and one for getting ready."""
    if not (_DATA / "crs").is_dir():
        return [{"request": f"skipped: there are no rules in {_DATA / 'crs'}"}]
    requests = _requests()
    with tempfile.TemporaryDirectory() as folder:
        before, started = _resident_mb(), time.thread_time()
        ours = _ours(Path(folder))
        loaded = f"ready in {time.thread_time() - started:.2f} s of one processor (bar 1), no cache"
        theirs = _theirs(Path(folder))
        others = _lewaf(Path(folder), {name: one for name, one in requests.items() if not name.startswith(_HARD)})
    rows = [_row(name, request, ours, theirs, others.get(name)) for name, request in requests.items()]
    added = f"{_added_mb(ours, before, requests):.0f} MB added (bar 60)" if theirs is None else ""
    return [*rows, {**dict.fromkeys(rows[0]), "request": ", ".join(filter(None, (loaded, added)))}]


def _row(name: str, request: Request, ours: RuleSet, theirs: Any, other: float | None) -> dict[str, Any]:
    contestants: dict[str, Callable[[], object]] = {"bsguard": _judge(ours, request)}
    if "unseen" in name or "strange" in name:
        contestants["bsguard"] = _judge_unseen(ours, request, 20 if "strange" in name else 40)
    if theirs is not None and not name.startswith(_HARD):
        contestants["libmodsecurity"] = _ask(theirs, request)
    slow = len(request.body) > 4096
    for _ in range(3 if slow else 200):  # what is compiled when it is first used
        contestants["bsguard"]()
    timings = time_calls(contestants, rounds=5 if slow else 11, calls=1 if slow else 20)
    peer, mine = timings.get("libmodsecurity"), timings["bsguard"]
    bars = _BARS.get(name.split()[0])
    hard = name.startswith(_HARD)
    return {
        "request": name,
        "body": len(request.body),
        "bsguard us": round(mine.median),
        "quartiles": f"{mine.low:.0f}-{mine.high:.0f}",
        "libmodsecurity us": None if peer is None else round(peer.median),
        "times faster": None if peer is None else round(peer.median / mine.median, 1),
        "lewaf us": None if other is None else round(other),
        "times faster than lewaf": None if other is None else round(other / mine.median),
        "bar": f"{_HARD_MS_MAX} ms" if hard else None if bars is None else f"{bars[0]}x, {bars[1]}x",
        "reached": mine.median <= _HARD_MS_MAX * 1000 if hard else _reached(bars, peer, other, mine),
        "rules": len(ours.judge(request).rule_ids),
    }


def _reached(bars: tuple[int, int] | None, peer: Timing | None, other: float | None, mine: Timing) -> bool | None:
    """Whether the bars are met of the peers that are there, None if none are."""
    if bars is None or (peer is None and other is None):
        return None
    found = [peer.median / mine.median >= bars[0]] if peer is not None else []
    return all(found + ([other / mine.median >= bars[1]] if other is not None else []))


def _requests() -> dict[str, Request]:
    found = {}
    for name in ("get", "post_1k", "post_16k"):
        frozen = Frozen.load(name)
        found[name] = frozen_request(frozen.method, frozen.target, frozen.headers, frozen.body)
    headers = Frozen.load("get").headers
    found |= {f"{name} {kind}": found[name] for name in ("get", "post_1k") for kind in ("unseen", "strange")}
    found["sqli"] = frozen_request("GET", "/v1/models?q=" + quote("1' or '1'='1' union select 1,2 --"), headers, b"")
    posted = Frozen.load("post_1k").headers
    for name, body in _hard_bodies().items():
        found[f"{_HARD} {name}"] = frozen_request("POST", "/v1/estimate", posted, body)
    return found


def _hard_bodies() -> dict[str, bytes]:
    """What is built to be slow to read, about 16 KB each."""
    chance = random.Random(1)
    size = _HARD_BYTES
    texts = {
        "spaces": " " * size,
        "random": "".join(chr(chance.randrange(0x20, 0x7F)) for _ in range(size)),
        "quotes": "'a" * (size // 2),
        "${": "${" * (size // 2),
        "; .": "; ." * (size // 3),
        "percent signs": "%27" * (size // 3),
        "entities": "&lt;" * (size // 4),
    }
    deep = '{"a":' * 60 + "1" + "}" * 60
    found = {name: json.dumps({"prompt": text}).encode() for name, text in texts.items()}
    found["deep JSON"] = ("[" + ",".join([deep] * (size // len(deep))) + "]").encode()
    found["JSON too deep"] = b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6)
    found["1,000 keys"] = json.dumps({f"k{number}": f"v{number}'" for number in range(1000)}).encode()
    found["long names"] = json.dumps({f"{'n' * 1000}{number}": "v" for number in range(16)}).encode()
    commands = {f"k{number}": f"; cat /etc/passwd | nc {number}" for number in range(400)}
    found["400 commands"] = json.dumps(commands).encode()
    return found


def _resident_mb() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # no Linux
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _added_mb(ours: RuleSet, before: float, requests: dict[str, Request]) -> float:
    for request in requests.values():
        ours.judge(request)
    return _resident_mb() - before


def _lewaf(folder: Path, requests: dict[str, Request]) -> dict[str, float]:
    """Microseconds a request in lewaf, by name; empty where it is not installed."""
    python = os.environ.get(_LEWAF)
    if not python:
        return {}
    rules = folder / "all.conf"
    rules.write_text("".join(f"Include {path}\n" for path in _files(folder, _SETUP + _PROCESSORS)), encoding="utf-8")
    asked = {
        "rules": str(rules),
        "requests": {
            name: {
                "method": one.method.decode(),
                "target": one.target.decode(),
                "headers": {key.decode(): value.decode() for key, value in one.headers},
                "body": one.body.decode(),
            }
            for name, one in requests.items()
            if name in _BARS or name == "sqli"
        },
    }
    script = Path(__file__).with_name("lewaf_peer.py")
    done = subprocess.run(
        [python, str(script)], input=json.dumps(asked), capture_output=True, text=True, timeout=600, check=True
    )
    times: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return times


def frozen_request(method: str, target: str, headers: dict[str, str], body: bytes) -> Request:
    """A frozen request as rules see it."""
    length = {"Content-Length": str(len(body))} if body else {}
    pairs = tuple((name.encode(), value.encode()) for name, value in {**headers, **length}.items())
    return Request(method.encode(), target.encode(), pairs, body, b"HTTP/1.1", b"203.0.113.9")


def _judge(rules: RuleSet, request: Request) -> Callable[[], object]:
    return lambda: rules.judge(request)


def _judge_unseen(rules: RuleSet, request: Request, longer: int) -> Callable[[], object]:
    """Judges a request that is new each time, of its headers those *longer*; making it is part of what is timed."""

    def judge() -> object:
        mark = b"%07d" % next(_NUMBERS)
        headers = tuple((name, value + mark if len(value) > longer else value) for name, value in request.headers)
        target = request.target.replace(b"?", b"/" + mark + b"?")
        body = request.body.replace(b'": ', mark + b'": ').replace(b"e ", b"e" + mark + b" ")
        return rules.judge(Request(request.method, target, headers, body, request.protocol, request.client))

    return judge


def _files(folder: Path, setup: str) -> list[Path]:
    path = folder / "setup.conf"
    path.write_text(setup, encoding="utf-8")
    return [_DATA / "crs" / "crs-setup.conf.example", path, *sorted((_DATA / "crs" / "rules").glob("*.conf"))]


def _ours(folder: Path) -> RuleSet:
    return RuleSet.load(_files(folder, _SETUP))


def _theirs(folder: Path) -> Any:
    try:
        import libmodsecurity
    except ImportError:
        return None
    engine, rules = libmodsecurity.ModSecurity(), libmodsecurity.RulesSet()
    engine.set_log_callback(lambda *_: None)
    for path in _files(folder, _SETUP + _PROCESSORS):
        rules.load_from_uri(str(path))
    return engine, rules


def peer(folder: Path) -> Callable[[Request], Callable[[], bool]] | None:
    """libmodsecurity with CRS: what asks it about a request, and says whether it refuses; None if one is missing."""
    if not (_DATA / "crs").is_dir():
        return None
    theirs = _theirs(folder)
    return None if theirs is None else lambda request: _ask(theirs, request)


def _ask(theirs: Any, request: Request) -> Callable[[], bool]:
    engine, rules = theirs

    def ask() -> bool:
        with engine.transaction(rules) as transaction:
            transaction.process_connection("203.0.113.9", 40000, "127.0.0.1", 8000)
            transaction.process_uri(request.target.decode("latin-1"), request.method.decode("latin-1"), "1.1")
            for name, value in request.headers:
                transaction.add_request_header(name, value)
            transaction.process_request_headers()
            refused = transaction.intervention() is not None
            if request.body:
                transaction.append_request_body(request.body)
            transaction.process_request_body()
            refused = refused or transaction.intervention() is not None
            transaction.process_logging()
            return refused

    return ask
