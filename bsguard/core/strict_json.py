"""JSON as RFC 8259 means it, and nothing that two readers could understand differently.

The standard library is the only parser at hand that reports duplicate keys. It is looser than JSON elsewhere, so the
rest is checked around it: UTF-8 without byte order mark, nesting depth counted before parsing (deep input would
exhaust the stack), no NaN or Infinity, no number that overflows to infinity, no lone surrogates.

Where ``msgspec`` is installed it reads first, for it is several times faster and as strict, duplicate keys apart. What
it refuses, and what may have duplicate keys, is judged by the slower parser; so both give the same verdict.
"""

from __future__ import annotations

import json
import re
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    from msgspec import MsgspecError
    from msgspec.json import Decoder
    from msgspec.json import encode as _written
except ImportError:  # no wheel for this platform
    _fast: Callable[[bytes], object] | None = None
    _REFUSALS: tuple[type[Exception], ...] = ()
else:
    _fast = Decoder().decode
    # Its own error was no ValueError in older versions; OverflowError is for integers that it reads and does not write.
    _REFUSALS = (MsgspecError, ValueError, RecursionError, OverflowError)

#: Brackets, and strings as a whole so that brackets within them do not count. The closing quote is optional: an
#: unterminated string is then consumed once, to the end, and the scan stays linear.
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NOT_OPENING_NOR_COLON: Final = bytes(byte for byte in range(256) if byte not in b"[{:")
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
#: One up for an opening bracket, one down (255 is -1) for a closing one.
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_INFINITE: Final = (float("inf"), float("-inf"))


class JsonProblem(ValueError):
    """The bytes are not strict JSON; ``rule`` names the check, the message tells the operator."""

    def __init__(self, rule: str, message: str) -> None:
        self.rule = rule
        super().__init__(message)


def loads(data: bytes, depth_max: int) -> object:
    """Parse *data*; raises :class:`JsonProblem`. Linear in the length of *data*."""
    if _fast is not None:
        # One pass for both counts: what is left are opening brackets and colons.
        marks = data.translate(None, _NOT_OPENING_NOR_COLON)
        colons = marks.count(b":")
        if len(marks) - colons <= depth_max:
            try:
                value = _fast(data)
            except _REFUSALS:
                pass  # the slower parser says why
            else:
                if _unique_for_sure(data, colons, value):
                    return value
    return _loads(data, depth_max)


def _loads(data: bytes, depth_max: int) -> object:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise JsonProblem("encoding", "not UTF-8") from None
    if text.startswith("\ufeff"):
        raise JsonProblem("encoding", "starts with a byte order mark (RFC 8259 §8.1)")
    if data.count(b"[") + data.count(b"{") > depth_max and _depth_exceeds(data, depth_max):
        raise JsonProblem("depth", f"nested deeper than {depth_max}")
    try:
        value: object = _DECODER.decode(text)
    except JsonProblem:
        raise
    except (ValueError, RecursionError):  # ValueError also for integers past the interpreter's digit limit
        raise JsonProblem("syntax", "not valid JSON") from None
    if _SURROGATE_ESCAPE.search(data):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise JsonProblem("surrogate", "a lone surrogate escape, which is no Unicode text") from None
    return value


def _unique_for_sure(data: bytes, colons: int, value: object) -> bool:
    """Whether no object in *value*, parsed from *data* with that many colons, can have had the same key twice.

    Every member has a colon, and a string keeps its own. So *value*, written out again, has as many colons as *data*,
    unless a member got lost because its key came twice. Only a colon that was escaped could hide that, and where there
    may be one the question is left open.
    """
    if b"\\" in data and b"\\u00" in data:  # looking for one byte alone is several times faster
        return False
    try:
        return _written(value).count(b":") == colons
    except _REFUSALS:
        return False


def _depth_exceeds(data: bytes, depth_max: int) -> bool:
    steps = array("b", _STRINGS.sub(b"", data).translate(_STEPS, _NOT_BRACKETS))
    return max(accumulate(steps), default=0) > depth_max


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise JsonProblem("duplicate-key", "an object has the same key twice, and readers differ in which they take")
    return value


def _refuse_constant(_name: str) -> NoReturn:
    raise JsonProblem("number", "NaN and Infinity are not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in _INFINITE:
        raise JsonProblem("number", "a number too large for a double")
    return number


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
