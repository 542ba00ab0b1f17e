"""Values to judge: the public collections of attacks, the values of the CRS's tests, and our own documents as prose."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
import yaml

from tests.seclang.recorded import FOLDER

ROOT = Path(__file__).parents[2]


@cache
def attacks(pattern: str) -> tuple[bytes, ...]:
    """The samples of libinjection's files of that name, as an app would see them."""
    folder = FOLDER / "libinjection"
    if not folder.is_dir():
        pytest.skip(f"the test data is not at {folder}")
    lines = [line.rstrip(b"\r") for path in sorted(folder.glob(pattern)) for line in path.read_bytes().split(b"\n")]
    return tuple(unquote_to_bytes(line.replace(b"+", b" ")) for line in lines if line and not line.startswith(b"#"))


@cache
def crs_values() -> tuple[bytes, ...]:
    """What the CRS's own tests send: parameters' names and values, header values, paths."""
    folder = FOLDER / "crs-tests"
    if not folder.is_dir():
        pytest.skip(f"the test data is not at {folder}")
    found: set[bytes] = set()
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for path in sorted(folder.glob("**/*.yaml")):
        with path.open() as file:
            document = yaml.load(file, Loader=loader)
        for test in (document or {}).get("tests", ()):
            for stage in test["stages"]:
                found.update(_values(stage["input"]))
    return tuple(sorted(found - {b""}))


def _values(given: dict[str, Any]) -> set[bytes]:
    path, _, query = str(given.get("uri") or "").partition("?")
    found = {str(value) for value in (given.get("headers") or {}).values()} | {path}
    for piece in f"{query}&{given.get('data') or ''}".split("&"):
        found.update(piece.partition("=")[::2])
    return {unquote_to_bytes(text.replace("+", " ").encode("utf-8", "surrogateescape")) for text in found}


@cache
def prose() -> tuple[bytes, ...]:
    """Every line of our own documents and code: text that people and programs write, and no attack."""
    files = sorted((ROOT / "docs").glob("**/*.md")) + sorted((ROOT / "bsguard" / "core").glob("*.py"))
    return tuple(line for path in files for line in path.read_bytes().split(b"\n") if line.strip())
