"""The operators of SecLang: each factory takes the argument and gives a function of one value.

The function returns None where the operator does not match, and else a tuple of what ``capture`` stores (TX:0 and on),
which may be empty. Arguments are read when the rules load; a wrong one raises :class:`Mistake`.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bsguard.core.config import nearest
from bsguard.seclang.errors import Mistake
from bsguard.seclang.patterns import compile_pattern, finder, phrases_pattern
from bsguard.seclang.script_injection import find_script_injection
from bsguard.seclang.sql_injection import find_sql_injection
from bsguard.seclang.sqli import detect_sqli
from bsguard.seclang.xss import detect_xss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Captures = tuple[bytes, ...]
Matcher = "Callable[[bytes], Captures | None]"

_HIT: Final[Captures] = ()
_GROUPS_MAX: Final = 10
_INTEGER: Final = re.compile(rb"[ \t\n\v\f\r]*([+-]?[0-9]{1,18})")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
#: Only letters make a word go on, as the reference has it.
_LETTERS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_FILE_BYTES_MAX: Final = 16 * 1024 * 1024


def integer(value: bytes) -> int:
    """The number that *value* begins with, 0 where it begins with none, as C's ``atoi`` reads it."""
    match = _INTEGER.match(value)
    return int(match[1]) if match else 0


def _rx(argument: bytes, _: str) -> Callable[[bytes], Captures | None]:
    pattern = compile_pattern(argument.decode("utf-8", "surrogateescape"))
    search = pattern.search

    def match(value: bytes) -> Captures | None:
        found = search(value)
        if found is None:
            return None
        groups = tuple(group or b"" for group in found.groups()[: _GROUPS_MAX - 1])
        return (found.group(0), *groups)

    return match


def _rx_without_captures(argument: bytes) -> Callable[[bytes], Captures | None]:
    pattern = compile_pattern(argument.decode("utf-8", "surrogateescape"), captures=False)
    found, search = finder(pattern), pattern.search
    return lambda value: (search(value).group(0),) if found(value) else None


def _phrases(argument: bytes) -> list[bytes]:
    """Words separated by blanks; ``|41 42|`` within one stands for the bytes of that hexadecimal."""
    found: list[bytes] = []
    for word in re.findall(rb"(?:\|[^|]*\||[^\s|])+", argument):
        parts = re.split(rb"\|([0-9A-Fa-f\s]*)\|", word)
        decoded = [part if index % 2 == 0 else _from_hex(part) for index, part in enumerate(parts)]
        found.append(b"".join(decoded))
    return found


def _from_hex(digits: bytes) -> bytes:
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        raise Mistake("between two | an even number of hexadecimal digits is expected") from None


def phrases_of(name: str, argument: bytes, folder: str) -> list[bytes]:
    """What ``@pm`` or ``@pmFromFile`` looks for."""
    return _phrases(argument) if name == "pm" else _lines(argument, folder)


def _pm(argument: bytes, _: str) -> Callable[[bytes], Captures | None]:
    return _find_phrases(_phrases(argument))


def _pm_from_file(argument: bytes, folder: str) -> Callable[[bytes], Captures | None]:
    return _find_phrases(_lines(argument, folder))


def _find_phrases(phrases: list[bytes]) -> Callable[[bytes], Captures | None]:
    pattern = phrases_pattern(phrases)
    if pattern is None:
        raise Mistake("at least one phrase is expected")
    search = pattern.search

    def match(value: bytes) -> Captures | None:
        found = search(value)
        return None if found is None else (found.group(0),)

    return match


def _lines(argument: bytes, folder: str) -> list[bytes]:
    """The lines of the files named, without blank lines and comments."""
    found: list[bytes] = []
    for name in argument.decode("utf-8", "surrogateescape").split():
        path = Path(folder, name)
        try:
            if path.stat().st_size > _FILE_BYTES_MAX:
                raise Mistake(f"{path} is larger than {_FILE_BYTES_MAX} bytes")
            data = path.read_bytes()
        except (OSError, ValueError) as error:
            raise Mistake(f"{path} cannot be read ({getattr(error, 'strerror', None) or error})") from None
        lines = (line.strip() for line in data.splitlines())
        found += [line for line in lines if line and not line.startswith(b"#")]
    return found


def _compare(test: Callable[[int, int], bool]) -> Callable[[bytes, str], Callable[[bytes], Captures | None]]:
    def build(argument: bytes, _: str) -> Callable[[bytes], Captures | None]:
        limit = integer(argument)
        return lambda value: _HIT if test(integer(value), limit) else None

    return build


def _text(test: Callable[[bytes, bytes], bool]) -> Callable[[bytes, str], Callable[[bytes], Captures | None]]:
    def build(argument: bytes, _: str) -> Callable[[bytes], Captures | None]:
        return lambda value: (argument,) if test(value, argument) else None

    return build


def _within(argument: bytes, _: str) -> Callable[[bytes], Captures | None]:
    return lambda value: (value,) if value in argument else None


def _contains_word(value: bytes, word: bytes) -> bool:
    if not word:
        return True
    at = value.find(word)
    while at >= 0:
        end = at + len(word)
        if (at == 0 or value[at - 1] not in _LETTERS) and (end == len(value) or value[end] not in _LETTERS):
            return True
        at = value.find(word, at + 1)
    return False


def _networks(texts: Iterable[str]) -> Callable[[bytes], Captures | None]:
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise Mistake(f"{text} is no address or network") from None
    if not networks:
        raise Mistake("at least one address or network is expected")

    @lru_cache(maxsize=256)
    def match(value: bytes) -> Captures | None:
        try:
            address = ipaddress.ip_address(value.decode("ascii"))
        except ValueError:
            return None
        return (value,) if any(address in network for network in networks) else None

    return match


def _ip_match(argument: bytes, _: str) -> Callable[[bytes], Captures | None]:
    return _networks(argument.decode("ascii", "replace").replace(",", " ").split())


def _ip_match_from_file(argument: bytes, folder: str) -> Callable[[bytes], Captures | None]:
    return _networks(line.decode("ascii", "replace") for line in _lines(argument, folder))


def allowed_bytes(argument: bytes) -> bytes:
    """The bytes that ``@validateByteRange`` allows."""
    allowed: set[int] = set()
    for part in filter(None, argument.replace(b" ", b"").split(b",")):
        first, _dash, last = part.partition(b"-")
        if not first.isdigit() or not (last or first).isdigit():
            raise Mistake("numbers and ranges such as 32-126 are expected")
        low, high = int(first), int(last or first)
        if not low <= high <= 255:
            raise Mistake(f"{low}-{high} is no range of bytes")
        allowed.update(range(low, high + 1))
    return bytes(sorted(allowed))


def _validate_byte_range(argument: bytes, _: str) -> Callable[[bytes], Captures | None]:
    allowed = allowed_bytes(argument)
    return lambda value: _HIT if value.translate(None, allowed) else None


def _validate_utf8(_: bytes, __: str) -> Callable[[bytes], Captures | None]:
    def match(value: bytes) -> Captures | None:
        if value.isascii():
            return None
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            return _HIT
        return None

    return match


def _validate_url_encoding(_: bytes, __: str) -> Callable[[bytes], Captures | None]:
    return lambda value: _HIT if _BAD_ESCAPE.search(value) else None


def _detect_sqli(_: bytes, __: str) -> Callable[[bytes], Captures | None]:
    def match(value: bytes) -> Captures | None:
        shape = detect_sqli(value)
        return None if shape is None else (shape,)

    return match


def _detect_xss(_: bytes, __: str) -> Callable[[bytes], Captures | None]:
    return lambda value: (value,) if detect_xss(value) else None


def _sql_injection(_: bytes, __: str) -> Callable[[bytes], Captures | None]:
    def match(value: bytes) -> Captures | None:
        shape = find_sql_injection(value)
        return None if shape is None else (shape,)

    return match


def _script_injection(_: bytes, __: str) -> Callable[[bytes], Captures | None]:
    return lambda value: (value,) if find_script_injection(value) else None


def _always(_: bytes, __: str) -> Callable[[bytes], Captures | None]:
    return lambda value: _HIT  # noqa: ARG005


def _never(_: bytes, __: str) -> Callable[[bytes], Captures | None]:
    return lambda value: None  # noqa: ARG005


#: Every operator, by lower-case name: argument and folder to a function of one value.
OPERATORS: Final[Mapping[str, Callable[[bytes, str], Callable[[bytes], Captures | None]]]] = {
    "beginswith": _text(bytes.startswith),
    "contains": _text(bytes.__contains__),
    "containsword": _text(_contains_word),
    "detectsqli": _detect_sqli,
    "detectxss": _detect_xss,
    "endswith": _text(bytes.endswith),
    "eq": _compare(int.__eq__),
    "ge": _compare(int.__ge__),
    "gt": _compare(int.__gt__),
    "ipmatch": _ip_match,
    "ipmatchf": _ip_match_from_file,
    "ipmatchfromfile": _ip_match_from_file,
    "le": _compare(int.__le__),
    "lt": _compare(int.__lt__),
    "geolookup": _never,
    "nomatch": _never,
    "pm": _pm,
    "pmf": _pm_from_file,
    "pmfromfile": _pm_from_file,
    "rbl": _never,
    "rx": _rx,
    "scriptinjection": _script_injection,
    "sqlinjection": _sql_injection,
    "streq": _text(bytes.__eq__),
    "strmatch": _text(bytes.__contains__),
    "unconditionalmatch": _always,
    "validatebyterange": _validate_byte_range,
    "validateurlencoding": _validate_url_encoding,
    "validateutf8encoding": _validate_utf8,
    "within": _within,
}
#: Operators that ask a database or the network about an address. Nothing here does, so they never match.
ASKING: Final = frozenset({"geolookup", "rbl"})
#: Operators whose argument may hold macros, filled in for each request.
WITH_MACROS: Final = frozenset(
    {"beginswith", "contains", "containsword", "endswith", "eq", "ge", "gt", "le", "lt", "streq", "strmatch", "within"}
)


def build(name: str, argument: bytes, folder: str = "", *, captures: bool = True) -> Callable[[bytes], Captures | None]:
    """The function of the operator *name*. Raises :class:`Mistake` for what it cannot be.

    Without *captures* a match holds nothing of its groups.
    """
    if name == "rx" and not captures:
        return _rx_without_captures(argument)
    factory = OPERATORS.get(name)
    if factory is None:
        close = nearest(name, OPERATORS)
        raise Mistake(f"there is no operator @{name}" + (f"; did you mean @{close}?" if close else ""))
    return factory(argument, folder)
