"""Content-Disposition of one part of a form (RFC 7578 §4.2), read as far as it goes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes


@dataclass(frozen=True, slots=True)
class Disposition:
    """The names and file names that a Content-Disposition gives, and the flags that it earns."""

    names: tuple[bytes, ...]
    filenames: tuple[bytes, ...]
    flags: frozenset[str]


_FORM_DATA: Final = re.compile(rb"(?i)\s*form-data\s*(?:;|\Z)")
_PARAMETER: Final = re.compile(rb""";\s*+([^\s=;"]++)\s*+=\s*+("(?:[^"\\]++|\\.)*+"?|'[^']*+'?|[^;]*+)""", re.DOTALL)
#: RFC 9110 §5.6.2, without the apostrophe.
_TOKEN: Final = re.compile(rb"[!#$%&*+\-.^_`|~0-9A-Za-z]*+[ \t]*")
_ESCAPED: Final = re.compile(rb'\\(["\\])')


def disposition(value: bytes) -> Disposition:
    """Read the value of a Content-Disposition header. ``filename*`` is no part of forms (RFC 7578 §4.2)."""
    found: dict[bytes, list[bytes]] = {b"name": [], b"filename": []}
    flags = set() if _FORM_DATA.match(value) else {"INVALID_PART"}
    position = value.find(b";")
    while position >= 0:
        parameter = _PARAMETER.match(value, position)
        after = value.find(b";", parameter.end() if parameter else position + 1)
        between = value[parameter.end() if parameter else position + 1 : after if after >= 0 else len(value)]
        if between.strip():
            flags.add("INVALID_PART")
        if parameter:
            name, raw = parameter.groups()
            text, properly = _unquoted(raw)
            if not properly:
                flags |= {"INVALID_QUOTING", "INVALID_PART"}  # readers take different names from it
            base, star, _ = name.lower().partition(b"*")
            if base not in found or star:
                flags.add("INVALID_PART")
            found.setdefault(base, []).append(unquote_to_bytes(text.rpartition(b"'")[2]) if star else text)
        position = after
    return Disposition(tuple(found[b"name"]), tuple(found[b"filename"]), frozenset(flags))


def _unquoted(raw: bytes) -> tuple[bytes, bool]:
    """The text of a parameter's value, and whether it was quoted as it should be."""
    if raw.startswith(b'"'):
        closed = len(raw) > 1 and raw.endswith(b'"')
        return _ESCAPED.sub(rb"\1", raw[1:-1] if closed else raw[1:]), closed
    if raw.startswith(b"'"):
        return raw.strip(b"'"), False
    return raw.rstrip(), _TOKEN.fullmatch(raw) is not None
