"""Mutated requests: the corpus, damaged a little, the same way on every run.

Most bugs of parsers lie one byte beside a case that somebody thought of.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

SPECIAL = [
    *(bytes([byte]) for byte in b"\0\t\n\r \x0b\x0c\x1f\x7f\x80\xa0\xff:;,%/\\\"'{}[]#?&=+-_.*0159aAzZ"),
    b"\r\n",
    b"\r\n\r\n",
    b"%00",
    b"%2e%2e/",
    b"%25",
    b"\\ud800",
    b"1e999",
    b'{"a":',
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"X-Account-Id: 1\r\n",
    b"Host: api.test\r\n",
    b"\xed\xa0\x80",
]
BYTES_MAX = 6000

Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def _place(chance: random.Random, raw: bytes) -> int:
    """Somewhere in the request; more often in its head, where a byte matters most."""
    end = raw.find(b"\r\n\r\n")
    return chance.randrange((end if end > 0 and chance.random() < 0.6 else len(raw)) + 1)


def _flip(chance: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    at = min(_place(chance, raw), len(raw) - 1)
    return raw[:at] + bytes([raw[at] ^ (1 << chance.randrange(8))]) + raw[at + 1 :]


def _insert(chance: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(chance, raw)
    return raw[:at] + chance.choice(SPECIAL) + raw[at:]


def _replace(chance: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(chance, raw)
    return raw[:at] + chance.choice(SPECIAL) + raw[at + chance.randrange(1, 4) :]


def _delete(chance: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(chance, raw)
    return raw[:at] + raw[at + chance.randrange(1, 9) :]


def _cut(chance: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    return raw[: _place(chance, raw)]


def _repeat_line(chance: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    lines = raw.split(b"\r\n")
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))
    return b"\r\n".join(lines)


def _swap_lines(chance: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    lines = raw.split(b"\r\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines)


def _borrow_line(chance: random.Random, raw: bytes, bases: Sequence[bytes]) -> bytes:
    lines = raw.split(b"\r\n")
    lines.insert(chance.randrange(len(lines)), chance.choice(chance.choice(bases).split(b"\r\n")))
    return b"\r\n".join(lines)


def _other_body(chance: random.Random, raw: bytes, bases: Sequence[bytes]) -> bytes:
    return raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + chance.choice(bases).partition(b"\r\n\r\n")[2]


def _bare_line_feed(chance: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    return raw.replace(b"\r\n", b"\n", chance.randrange(1, 5))


def _append(chance: random.Random, raw: bytes, bases: Sequence[bytes]) -> bytes:
    return raw + chance.choice(bases)


MUTATIONS: tuple[Mutation, ...] = (
    _flip,
    _insert,
    _insert,
    _replace,
    _replace,
    _delete,
    _cut,
    _repeat_line,
    _swap_lines,
    _borrow_line,
    _other_body,
    _bare_line_feed,
    _append,
)


def mutations(bases: Sequence[bytes], seed: int, count: int) -> Iterator[bytes]:
    """That many requests, each made of a base by one to four mutations; the same for the same seed."""
    small = [raw for raw in bases if len(raw) <= BYTES_MAX]
    chance = random.Random(seed)
    for _ in range(count):
        raw = chance.choice(small)
        for _ in range(chance.randrange(1, 5)):
            raw = chance.choice(MUTATIONS)(chance, raw, small) or b"G"
        yield raw
