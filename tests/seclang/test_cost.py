"""What a request costs grows no faster than the request, up to the inspection limit, and at the limit it is refused.

Cost is counted, not timed: calls of functions, in Python and in C, and bytes that are scanned.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from bsguard.seclang import Limits, Request
from bsguard.seclang.prefilter.scanners import LiteralScanner
from tests.seclang import crs

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not crs.CRS.is_dir(), reason=f"needs the Core Rule Set in {crs.CRS}")

HEADERS = ((b"Host", b"example.com"), (b"User-Agent", b"tests"), (b"Accept", b"*/*"))
JSON = (b"Content-Type", b"application/json")
FORM = (b"Content-Type", b"application/x-www-form-urlencoded")
SMALL, LARGE = 8_000, 32_000


def text(unit: str) -> Callable[[int], bytes]:
    return lambda size: json.dumps({"prompt": unit * (size // len(unit))}).encode()


def keys(name: str, value: str) -> Callable[[int], bytes]:
    number = len(name) + len(value) + 16
    return lambda size: json.dumps({f"{name}{one}": f"{value}{one}" for one in range(size // number)}).encode()


def deep(size: int) -> bytes:
    unit = '{"a":' * 30 + "1" + "}" * 30
    return ("[" + ",".join([unit] * (size // len(unit))) + "]").encode()


def form(size: int) -> bytes:
    return b"&".join(b"a%d=%%27+or+1" % number for number in range(size // 18))


SHAPES = {
    "spaces": text(" "),
    "quotes": text("'a"),
    "${": text("${"),
    "; .": text("; ."),
    "percent signs": text("%27"),
    "double escapes": text("%2527"),
    "entities": text("&lt;"),
    "escapes": text("\\u0041"),
    "paths": text("/../"),
    "comments": text("/*"),
    "tags": text("<a b="),
    "Base64": text("QUFB"),
    "lines": text("a\n"),
    "keys": keys("k", "v'"),
    "commands": keys("k", "; cat /etc/passwd"),
    "words of SQL": keys("select", "union select"),
    "deep JSON": deep,
    "a form": form,
}


def posted(shape: str, size: int) -> Request:
    return Request(b"POST", b"/", (*HEADERS, FORM if shape == "a form" else JSON), SHAPES[shape](size))


def cost(shape: str, size: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Calls, and bytes scanned, once everything has been used that is made when it is first used."""
    rules = crs.rule_set(1, "On", plain=True)
    calls = scanned = 0
    scan = LiteralScanner.scan

    def counting(scanner: LiteralScanner, value: bytes, wanted: int, *, newlines: bool = True) -> int:
        nonlocal scanned
        scanned += len(value)
        return scan(scanner, value, wanted, newlines=newlines)

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    rules.judge(posted(shape, size - 500))  # another one, so that nothing about this one is remembered
    request = posted(shape, size)
    monkeypatch.setattr(LiteralScanner, "scan", counting)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        rules.judge(request)
    finally:
        sys.setprofile(before)
        monkeypatch.undo()
    return calls, scanned


@pytest.mark.parametrize("shape", SHAPES)
def test_cost_grows_no_faster_than_the_request(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = len(posted(shape, SMALL).body), len(posted(shape, LARGE).body)
    calls, scanned = cost(shape, SMALL, monkeypatch)
    more_calls, more_scanned = cost(shape, LARGE, monkeypatch)

    assert scanned > small / 2
    assert more_calls <= calls * large / small * 1.2
    assert more_scanned <= scanned * large / small * 1.2


LIMITS = {
    "bytes": (text(" "), "body_bytes_max"),
    "arguments": (keys("k", "v"), "arguments_max"),
    "depth": (lambda size: b"[" * size + b"]" * size, "depth_max"),
    "a name": (keys("k" * 5000, "v"), "name_bytes_max"),
    "names": (keys("k" * 4000, "v"), "names_bytes_max"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_what_passes_a_limit_is_refused(name: str) -> None:
    body, limit = LIMITS[name]
    limits = Limits(body_bytes_max=10_000_000)
    if name == "bytes":
        limits = Limits(body_bytes_max=1000)
    rules = crs.rule_set(1, "On", plain=True)
    seen = type(rules)(rules.program, limits=limits).judge(Request(b"POST", b"/", (*HEADERS, JSON), body(600_000)))

    assert (seen.verdict.action, seen.verdict.status, seen.verdict.rule_id) == ("deny", 413, 0)
    assert limit in seen.body_error
