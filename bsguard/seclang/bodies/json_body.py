"""JSON bodies: every leaf is an argument, named by its path as ModSecurity names it: ``json.users.array_0.name``.

The standard library's decoder reads what is valid. What it refuses is read again token by token up to the mistake,
which also gives the same answer at any depth, wherever the interpreter's own recursion limit lies.
"""

from __future__ import annotations

import json
import re
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NoReturn

from bsguard.seclang.bodies.model import Arguments, LimitPassed, ParsedBody, passed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bsguard.seclang.bodies.model import Limits

_ROOT: Final = "json"
_EMPTY_KEY: Final = "empty-key"
_Member = tuple[str, Any]


def parse_json(body: bytes, limits: Limits) -> ParsedBody:
    """Read the leaves of a document; numbers keep their spelling, null is empty, true and false are words."""
    if not body:
        return ParsedBody()
    limit = "body_bytes_max" if len(body) > limits.body_bytes_max else ""
    text, error = _decoded(body[: limits.body_bytes_max])
    arguments = Arguments(limits)
    try:
        try:
            root = _DECODER.decode(text)
        except (ValueError, RecursionError):
            _read_until_error(text, arguments, limits.depth_max)
        else:
            _read_leaves(root, arguments, limits.depth_max, str.encode if "\\u" not in text else _encoded)
    except LimitPassed as problem:
        limit = limit or problem.limit
    except _Broken as problem:
        error = error or str(problem)
    return ParsedBody(tuple(arguments.pairs), error=passed(limit) if limit else error, limit=limit)


def _decoded(body: bytes) -> tuple[str, str]:
    """The text as Python's ``json.loads`` would take it from bytes, UTF-16 and 32 too, and what is wrong with that."""
    encoding = json.detect_encoding(body)
    if encoding == "utf-8":
        try:
            return body.decode(), ""
        except UnicodeDecodeError:
            return body.decode(errors="replace"), "JSON that is not UTF-8"
    if encoding == "utf-8-sig":
        return body.decode(encoding, "replace"), "JSON that starts with a byte order mark (RFC 8259 §8.1)"
    return body.decode(encoding, "replace"), "JSON that is not UTF-8"


class _Broken(ValueError):
    """Not valid JSON."""


def _refuse_constant(_name: str) -> NoReturn:
    raise _Broken("JSON with NaN or Infinity")


#: Objects become tuples of pairs, so that duplicate keys stay; arrays stay lists; numbers stay text.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=_refuse_constant
)
_WORDS: Final = {True: b"true", False: b"false", None: b""}


def _encoded(text: str) -> bytes:
    """UTF-8, with a question mark for what escapes can write and UTF-8 cannot: half of a surrogate pair."""
    return text.encode("utf-8", "replace")


def _read_leaves(root: Any, arguments: Arguments, depth_max: int, encode: Callable[[str], bytes] = _encoded) -> None:
    """Add every leaf. Keeps its own stack, for Python's is the app's to use up."""
    add = arguments.add
    stack: list[tuple[str, Iterator[_Member]]] = []  # the containers around the one that is being read
    prefix: str = ""
    members: Iterator[_Member] = iter(((_ROOT, root),))
    while True:
        for key, value in members:
            name = prefix + (key or _EMPTY_KEY)
            kind = type(value)
            if kind is str:
                add(encode(name), encode(value))
            elif kind is list or kind is tuple:
                if len(stack) >= depth_max:
                    raise LimitPassed("depth_max")
                arguments.count_name(len(name))
                stack.append((prefix, members))
                is_array = kind is list
                prefix = f"{name}.array_" if is_array else f"{name}."
                members = zip(map(str, count()), value, strict=False) if is_array else iter(value)
                break
            else:
                add(encode(name), _WORDS[value])
        else:
            if not stack:
                return
            prefix, members = stack.pop()


_TOKEN: Final = re.compile(
    r"""[ \t\n\r]*+(?:
        (?P<mark>[\[\]{},:])
        |(?P<text>"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")
        |(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?)
        |(?P<word>true|false|null)
    )""",
    re.VERBOSE,
)
_VALUES: Final = frozenset(("text", "number", "word", "[", "{"))
#: What may come next, by what is wanted.
_ACCEPTED: Final = {
    "value": _VALUES,
    "value or ]": _VALUES | {"]"},
    "key": frozenset(("text",)),
    "key or }": frozenset(("text", "}")),
    ":": frozenset(":"),
    ", or ]": frozenset(",]"),
    ", or }": frozenset(",}"),
    "nothing": frozenset[str](),
}


def _read_until_error(text: str, arguments: Arguments, depth_max: int) -> None:
    """Add the leaves before the first mistake, then raise :class:`_Broken`."""
    prefixes: list[str] = []  # the names of the containers that are open
    indices: list[int] = []  # where in each of them we are; -1 in objects
    name, wanted, position = _ROOT, "value", 0
    while token := _TOKEN.match(text, position):
        symbol = token["mark"] or str(token.lastgroup)
        if symbol not in _ACCEPTED[wanted]:
            break
        position = token.end()
        if symbol in ("[", "{"):
            if len(prefixes) >= depth_max:
                raise LimitPassed("depth_max")
            arguments.count_name(len(name))
            prefixes.append(name)
            indices.append(0 if symbol == "[" else -1)
            name, wanted = (f"{name}.array_0", "value or ]") if symbol == "[" else (name, "key or }")
        elif symbol == ",":
            if indices[-1] >= 0:
                indices[-1] += 1
            name, wanted = (f"{prefixes[-1]}.array_{indices[-1]}", "value") if indices[-1] >= 0 else (name, "key")
        elif symbol == ":":
            wanted = "value"
        elif wanted in ("key", "key or }") and symbol == "text":
            name, wanted = f"{prefixes[-1]}.{json.loads(token['text']) or _EMPTY_KEY}", ":"
        else:
            if symbol in ("]", "}"):
                del prefixes[-1], indices[-1]
            else:
                arguments.add(_encoded(name), _scalar(token))
            wanted = "nothing" if not indices else ", or ]" if indices[-1] >= 0 else ", or }"
    if wanted != "nothing" or text[position:].strip(" \t\n\r"):
        raise _Broken("not valid JSON")


def _scalar(token: re.Match[str]) -> bytes:
    if token["text"]:
        text: str = json.loads(token["text"])
        return _encoded(text)
    word: str = token["number"] or token["word"]
    return b"" if word == "null" else word.encode()
