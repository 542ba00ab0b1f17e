"""The fast JSON parser and the slow one agree in verdict and value, on documents made to set them apart."""

from __future__ import annotations

from random import Random

from bsguard.core import strict_json
from bsguard.core.strict_json import JsonProblem

KEYS = ('"a"', '"b"', '":"', r'"\":"', r'"\u003a"', r'"a\u003a"', r'"\u0022:"', '"::"', r'"\u00e9"', '"é"')
VALUES = ("1", "1.0", "-0", "1e5", "9" * 20, "true", "null", "NaN", "1e400", r'"\ud800"', r'"\ud83d\ude00"', *KEYS)


def document(random: Random, depth: int = 0) -> str:
    kind = random.random()
    if depth < 3 and kind < 0.35:
        gaps = ("", "", " ", "\n", "\t")
        members = (
            f"{random.choice(KEYS)}{random.choice(gaps)}:{random.choice(gaps)}{document(random, depth + 1)}"
            for _ in range(random.randint(0, 4))
        )
        return "{" + ",".join(members) + "}"
    if depth < 3 and kind < 0.5:
        return "[" + ",".join(document(random, depth + 1) for _ in range(random.randint(0, 3))) + "]"
    return random.choice(VALUES)


def verdict(data: bytes, *, fast: bool) -> str:
    try:
        return repr(strict_json.loads(data, 64) if fast else strict_json._loads(data, 64))
    except JsonProblem as problem:
        return f"refused: {problem.rule}"


def test_both_parsers_agree() -> None:
    random = Random(5)
    refused = 0
    for _ in range(20_000):
        data = document(random).encode()
        slow = verdict(data, fast=False)
        refused += slow == "refused: duplicate-key"
        assert verdict(data, fast=True) == slow, data

    assert refused > 1_000
