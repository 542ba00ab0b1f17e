"""The waf layer: what it refuses and what it lets pass, what it costs, and the same of libmodsecurity with CRS.

Corpora: ours (``tests/waf/corpus``), and where they are at hand libinjection's lists and the requests of CRS's own
tests. The figures of ``held out`` are of texts that no rule was written with an eye on. Every wrong judgement on our
corpora is written to ``.run/waf-misses.txt``.
"""

from __future__ import annotations

import json
import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import crs as peer
from benchmarks.frozen import Frozen
from benchmarks.measure import app, time_apps, time_calls
from bsguard.waf import Waf
from tests.seclang.crs import TESTS
from tests.waf.corpus.attacks import attacks
from tests.waf.corpus.benign import benign
from tests.waf.corpus.score import Score, score
from tests.waf.given import LIBINJECTION, attacks_of_another_class, crs, libinjection
from tests.waf.judge import FREE_TEXT, judge, judge_undeclared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bsguard.seclang import Request
    from tests.waf.corpus.score import Sample

_MISSES: Final = Path(__file__).resolve().parent.parent / ".run" / "waf-misses.txt"
#: libmodsecurity takes milliseconds a request: of the large corpora it is asked about every so many.
_EVERY_FOR_PEER: Final = 37
_HARD_BYTES: Final = 16_000


def run() -> list[dict[str, Any]]:
    """What is judged rightly, then what it costs."""
    with tempfile.TemporaryDirectory() as folder:
        theirs = peer.peer(Path(folder))
    return [*_judgements(None if theirs is None else lambda request: theirs(request)()), *_costs(theirs), *_hard()]


def _judgements(theirs: Callable[[Request], bool] | None) -> list[dict[str, Any]]:
    rows, wrong = [], []

    def add(name: str, make: Callable[[], Iterable[Sample]], bar: str, *, hostile: bool, every: int = 1) -> Score:
        ours = score(make(), judge, hostile=hostile)
        asked = None if theirs is None else score(islice(make(), 0, None, every), theirs, hostile=hostile)
        rows.append(_row(name, ours, bar, asked))
        return ours

    attack = add("our attacks", attacks, ">= 97 %", hostile=True, every=_EVERY_FOR_PEER)
    wrong += attack.wrong
    held = [one for one in attacks() if one.held_out]
    rows.append(_row("our attacks, held out", score(held, judge, hostile=True), ">= 97 %", None))
    for kind, total in attack.total.items():
        rows.append(_share(f"  {kind}", attack.refused[kind], total))
    honest = add("our honest requests", benign, "<= 0.2 %", hostile=False, every=_EVERY_FOR_PEER)
    wrong += honest.wrong
    held_honest = [one for one in benign() if one.held_out]
    rows.append(_row("our honest requests, held out", score(held_honest, judge, hostile=False), "<= 0.2 %", None))
    undeclared = score(benign(), judge_undeclared, hostile=False)
    rows.append(_row("our honest requests, no field declared", undeclared, "", None))
    _write(wrong)
    if LIBINJECTION.is_dir():
        for kind, bar in (("sqli", ">= 95 %"), ("xss", ">= 95 %"), ("false_positives", "<= 1 %")):
            for place in ("query", "json"):
                hostile = kind != "false_positives"
                every = _EVERY_FOR_PEER if kind == "sqli" else 1
                lines = _lines(kind, place)
                add(f"libinjection {kind}, {place}", lines, bar, hostile=hostile, every=every)
    if TESTS.is_dir():
        add("CRS's tests, positive", lambda: crs(positive=True), ">= 90 %", hostile=True)
        negative = add("CRS's tests, negative", lambda: crs(positive=False), "<= 2 %", hostile=False)
        listed = attacks_of_another_class()
        honest_of_these = [one for one in crs(positive=False) if one.name not in listed]
        honest = score(honest_of_these, judge, hostile=False)
        rows.append(_row("  of these without an attack of another class", honest, "<= 2 %", None))
        if theirs is not None:
            only = [one for one in negative.wrong if not theirs(one.request)]
            rows.append(_share("  of these let pass by CRS itself", len(only), negative.total.total()))
    return rows


def _lines(kind: str, place: str) -> Callable[[], Iterable[Sample]]:
    return lambda: libinjection(kind, place)


def _row(name: str, ours: Score, bar: str, theirs: Score | None) -> dict[str, Any]:
    row = _share(name, ours.refused.total(), ours.total.total())
    return {**row, "bar": bar, "CRS refused": None if theirs is None else f"{theirs.share:.2%}"}


def _share(name: str, refused: int, total: int) -> dict[str, Any]:
    return {
        "what": name,
        "requests": total,
        "refused": refused,
        "share": f"{refused / max(1, total):.2%}",
        "bar": "",
        "CRS refused": None,
        "us": None,
        "libmodsecurity us": None,
        "times faster": None,
    }


def _write(wrong: list[Sample]) -> None:
    _MISSES.parent.mkdir(exist_ok=True)
    _MISSES.write_text("".join(f"{one.name!r}\n" for one in wrong), encoding="utf-8")


def _nowhere(_: object) -> None:
    """Events of refusals are not what is measured."""


def _costs(theirs: Callable[[Request], Callable[[], bool]] | None) -> list[dict[str, Any]]:
    """The whole layer around an application, less the application, against libmodsecurity's engine alone."""
    profiles = [{"parameter": name, "profile": "free_text"} for name in FREE_TEXT]
    layer = Waf(app, {"PROFILES": profiles}, emit=_nowhere)
    rows = []
    for name, bar in (("get", ">= 25x"), ("post_1k", ">= 50x"), ("post_16k", "")):
        frozen = Frozen.load(name)
        timings = time_apps({"layer": layer, "bare": app}, frozen.factory(), rounds=9, calls=100)
        ours = timings["layer"].median - timings["bare"].median
        row = {**_share(f"cost of {name}", 0, 1), "requests": None, "refused": None, "share": None, "bar": bar}
        row["us"] = round(ours, 1)
        if theirs is not None:
            request = peer.frozen_request(frozen.method, frozen.target, frozen.headers, frozen.body)
            timed = time_calls({"theirs": theirs(request)}, rounds=5, calls=3 if name == "post_16k" else 20)
            row["libmodsecurity us"] = round(timed["theirs"].median)
            row["times faster"] = round(timed["theirs"].median / ours, 1)
        rows.append(row)
    return rows


def _hard() -> list[dict[str, Any]]:
    """Inputs that are made to cost: 16 KB of them, and twice as much, which must cost about twice."""
    layer = Waf(app, {}, emit=_nowhere)
    headers = Frozen.load("post_1k").headers
    rows = []
    for name, unit in HARD.items():
        times = []
        for size in (_HARD_BYTES, 2 * _HARD_BYTES):
            body = unit(size)
            frozen = Frozen(name, "POST", "/v1/estimate", headers, body)
            timing = time_apps({"layer": layer}, frozen.factory(), rounds=3, calls=2)["layer"]
            times.append(timing.median)
        row = {**_share(f"16 KB of {name}", 0, 1), "requests": None, "refused": None, "share": None}
        row["us"] = round(times[0])
        row["bar"] = f"32 KB: {times[1] / times[0]:.1f} times"
        rows.append(row)
    return rows


def _text(unit: str) -> Callable[[int], bytes]:
    """Whole units, so that both sizes end alike: half an escape at the end may be what a rule waits for."""
    return lambda size: json.dumps({"prompt": unit * (size // len(unit))}).encode()


HARD: Final[dict[str, Callable[[int], bytes]]] = {
    **{
        name: _text(unit)
        for name, unit in {
            "spaces": " ",
            "quotes": "'a",
            "${": "${",
            "{{": "{{",
            "; cat ": "; cat ",
            "<a ": "<a ",
            "../": "..x/",
            "%25": "%25",
            "&#x26;": "&#x26;",
            "select ": "select ",
            "letters": "A",
            "or 1": "or 1 ",
            "brackets": "((",
        }.items()
    },
    "deep JSON": lambda size: b'{"a":' * 200 + b'"' + b"x" * size + b'"' + b"}" * 200,
    "many keys": lambda size: json.dumps({f"key{number}": f"value {number}" for number in range(size // 24)}).encode(),
}
