"""Our @detectSQLi against libmodsecurity's: they need not agree on everything, but on nearly all of each collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bsguard.seclang.sqli import detect_sqli
from tests.seclang import reference, samples

if TYPE_CHECKING:
    from collections.abc import Callable

COLLECTIONS: dict[str, tuple[int, Callable[[], tuple[bytes, ...]]]] = {
    "attacks": (17_149, lambda: samples.attacks("sqli-*.txt")),
    "attacks of another kind": (1645, lambda: samples.attacks("xss-*.txt")),
    "harmless, once mistaken": (421, lambda: samples.attacks("false_positives.txt")),
    "requests of the CRS's tests": (2000, samples.crs_values),
    "our own documents": (2000, samples.prose),
}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_verdicts_agree(name: str) -> None:
    least, read = COLLECTIONS[name]
    values = read()
    agreed = sum((detect_sqli(value) is not None) is reference.sqli(value) for value in values)

    assert len(values) >= least
    assert agreed >= 0.97 * len(values)
