"""The corpora of others, where they are at hand: libinjection's lists, and the requests of CRS's regression tests."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bsguard.seclang.transforms_escapes import url_decode
from tests.seclang.crs import CRS, cases
from tests.seclang.recorded import FOLDER
from tests.waf.corpus.places import get, post

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.seclang import Request

LIBINJECTION = FOLDER / "libinjection"
#: Rule files of CRS about attacks, by the first three digits of their rules.
CLASSES = range(930, 945)
_ATTACKS = Path(__file__).with_name("crs_attacks.toml")
_ID = re.compile(r"\bid:(\d{6})")
_LEVEL = re.compile(r"paranoia-level/(\d)")


@dataclass(frozen=True)
class Given:
    """One request of others."""

    kind: str
    name: str
    request: Request
    held_out: bool = False


def lines(kind: str) -> Iterator[tuple[str, bytes]]:
    """File and raw line of libinjection's lists, whose names begin with *kind*."""
    for path in sorted(LIBINJECTION.glob(f"{kind}*.txt")):
        for line in path.read_bytes().split(b"\n"):
            line = line.rstrip(b"\r")
            if line and not line.startswith(b"#"):
                yield path.stem, line


def libinjection(kind: str, place: str) -> Iterator[Given]:
    """Every line of a list as a query parameter, or as a JSON value."""
    for file, line in lines(kind):
        if place == "query":
            request = get(b"/v1/search?page=1&q=" + line.replace(b"&", b"%26").replace(b"#", b"%23"))
        else:
            text = url_decode(line).decode("utf-8", "replace")
            request = post(json.dumps({"page": 1, "q": text}).encode(), b"application/json")
        yield Given(kind, f"{file}: {line.decode('utf-8', 'replace')[:120]}", request)


def paranoia_levels() -> dict[int, int]:
    """The paranoia level of every rule of CRS."""
    found = {}
    for path in CRS.glob("rules/*.conf"):
        for block in re.split(r"\n(?=Sec)", path.read_text(encoding="utf-8")):
            number, level = _ID.search(block), _LEVEL.search(block)
            if number and level:
                found[int(number[1])] = int(level[1])
    return found


def crs(*, positive: bool) -> Iterator[Given]:
    """Requests of CRS's tests for attacks at paranoia level 1: those that must be found, or those that must not."""
    levels = paranoia_levels()
    for case in cases():
        if case.rule_id // 1000 not in CLASSES or levels.get(case.rule_id) != 1:
            continue
        for stage in case.stages:
            log = stage.expected.get("log", {})
            if case.rule_id in log.get("expect_ids" if positive else "no_expect_ids", ()):
                yield Given(str(case.rule_id // 1000), case.name, stage.request)


def attacks_of_another_class() -> dict[str, str]:
    """Of the requests that must not be found, those in which another attack stands; to each the reason."""
    listed = tomllib.loads(_ATTACKS.read_text(encoding="utf-8"))["attack"]
    return {one["test"]: one["reason"] for one in listed}
