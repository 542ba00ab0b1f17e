"""Transformations that read a value as a path or as a PHP variable's name."""

from __future__ import annotations

import re
from typing import Final

_SLASH: Final = ord("/")


def normalise_path(value: bytes) -> bytes:
    """No doubled slashes, ``.`` and, where a directory stands before it, ``..``; nothing climbs above ``/``.

    ModSecurity also drops a name that merely ends in two dots, unless it is at most three long and first.
    """
    if _SLASH not in value and not value.endswith(b"."):
        return value
    relative = not value.startswith(b"/")
    climbing = False  # a relative path has come to its start: dots cannot remove anything any more
    kept: list[bytes] = []
    for name in value.split(b"/"):
        if not name or name == b".":
            continue
        if not name.endswith(b".."):
            kept.append(name)
            climbing = climbing and name.endswith(b".")
        elif relative and (climbing or (not kept and len(name) <= 3)):
            kept.append(name)
            climbing = True
        else:
            if name == b".." and kept:
                kept.pop()
            climbing = relative and not kept
    result = b"/".join(kept)
    if kept and not relative:
        result = b"/" + result
    if value.endswith(b"/") and (kept or not relative):
        result += b"/"
    return value if result == value else result


def normalise_path_win(value: bytes) -> bytes:
    """Backslashes are slashes first."""
    return normalise_path(value.replace(b"\\", b"/"))


_PHP_SPECIAL: Final = re.compile(rb"[ .\[]")
_PHP_INDEX: Final = re.compile(rb"\[[ \t\r\n\v\f]*+([^\]]*+)\]")
_PHP_DOTS: Final = bytes.maketrans(b" .", b"__")


def php_args_names(value: bytes) -> bytes:
    """The name that PHP gives a parameter: ``a.b[ c]d`` becomes ``a_b[c]``, ``a[b`` becomes ``a_b``."""
    if not _PHP_SPECIAL.search(value):
        return value
    plain, bracket, rest = value.lstrip(b" ").partition(b"[")
    name = plain.translate(_PHP_DOTS)
    if bracket:
        if not plain:
            return b""
        if b"]" not in rest:
            name += b"_" + rest
        else:
            name += b"".join(_indices(b"[" + rest))
    return value if name == value else name


def _indices(text: bytes) -> list[bytes]:
    found: list[bytes] = []
    position = 0
    while match := _PHP_INDEX.match(text, position):
        found.append(b"[" + match[1] + b"]")
        position = match.end()
    return found
