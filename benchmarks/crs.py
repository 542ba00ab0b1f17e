"""CRS at paranoia level 1, blocking: our engine against libmodsecurity in the same process, on the same requests.

The rules are looked for in ``BSGUARD_TEST_DATA``, else in ``shared/data`` beside the checkout. ``libmodsecurity`` comes
from PyPI with the ``dev`` extra; where it does not install, our figures stand alone.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from benchmarks.frozen import Frozen
from benchmarks.measure import time_calls
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
_HARD = "16 KB"


def run() -> list[dict[str, Any]]:
    """One row a request."""
    if not (_DATA / "crs").is_dir():
        return [{"request": f"skipped: there are no rules in {_DATA / 'crs'}"}]
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = _ours(Path(folder)), _theirs(Path(folder))
    rows = []
    for name, request in _requests().items():
        contestants = {"bsguard": _judge(ours, request)}
        if theirs is not None and not name.startswith(_HARD):
            contestants["libmodsecurity"] = _ask(theirs, request)
        slow = len(request.body) > 4096
        timings = time_calls(contestants, rounds=3 if slow else 9, calls=1 if slow else 20)
        peer = timings.get("libmodsecurity")
        mine = timings["bsguard"]
        rows.append(
            {
                "request": name,
                "body": len(request.body),
                "bsguard us": round(mine.median),
                "quartiles": f"{mine.low:.0f}-{mine.high:.0f}",
                "libmodsecurity us": None if peer is None else round(peer.median),
                "times faster": None if peer is None else round(peer.median / mine.median, 1),
                "rules": len(ours.judge(request).rule_ids),
            }
        )
    return rows


def _requests() -> dict[str, Request]:
    found = {}
    for name in ("get", "post_1k", "post_16k"):
        frozen = Frozen.load(name)
        found[name] = frozen_request(frozen.method, frozen.target, frozen.headers, frozen.body)
    headers = Frozen.load("get").headers
    found["sqli"] = frozen_request("GET", "/v1/models?q=" + quote("1' or '1'='1' union select 1,2 --"), headers, b"")
    chance = random.Random(1)
    texts = {
        "spaces": " " * _HARD_BYTES,
        "random": "".join(chr(chance.randrange(0x20, 0x7F)) for _ in range(_HARD_BYTES)),
        "quotes": "'a" * (_HARD_BYTES // 2),
        "${": "${" * (_HARD_BYTES // 2),
        "; .": "; ." * (_HARD_BYTES // 3),
    }
    values: dict[str, Any] = {
        **{f"{_HARD} of {name}": {"prompt": text} for name, text in texts.items()},
        f"{_HARD} in 700 keys": {f"key{number}": f"value {number}" for number in range(700)},
        f"{_HARD} of long names": {f"{'n' * 1000}{number}": "v" for number in range(16)},
    }
    posted = Frozen.load("post_1k").headers
    for name, value in values.items():
        found[name] = frozen_request("POST", "/v1/estimate", posted, json.dumps(value).encode())
    return found


def frozen_request(method: str, target: str, headers: dict[str, str], body: bytes) -> Request:
    """A frozen request as rules see it."""
    length = {"Content-Length": str(len(body))} if body else {}
    pairs = tuple((name.encode(), value.encode()) for name, value in {**headers, **length}.items())
    return Request(method.encode(), target.encode(), pairs, body, b"HTTP/1.1", b"203.0.113.9")


def _judge(rules: RuleSet, request: Request) -> Callable[[], object]:
    return lambda: rules.judge(request)


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
